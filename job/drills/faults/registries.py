"""Faults of the registry of models: a promoted bundle is corrupt, or the registry is away."""

from pathlib import Path

import msgspec

from job.drills.evidence import Expectation
from job.drills.faults.fault import Fault, Injected
from job.drills.site import MODEL, Needs, Site, now_ms
from model.bundles.bundle import Bundle
from model.bundles.bundle_files import MODEL as MODEL_FILE
from model.registry.registry import POINTERS, Registry

# A model that is followed has a deadline, so that a busy machine makes some fallback lists.
_QUIET = Expectation(restarts=False, reprocesses=False, scores=False)
_SCORED = 500
_SECOND = "second"


class CorruptBundle(Fault):
    """Promote a version whose model's file is damaged: the one before is served on."""

    name = "corrupt-bundle"
    combines = False
    needs = Needs.REGISTRY
    expects = _QUIET

    def prepare(self, site: Site) -> None:
        """Register a second version, and damage it."""
        from job.drills.gated_model import write_gated  # torch takes seconds

        setup, registry = site.setup, _folder(site)
        trained = Bundle.load(setup.trained)
        second = write_gated(trained, registry.with_name(_SECOND), setup.gate.path, version=_SECOND)
        self._version = Registry(registry).register(second.path, MODEL)
        file = registry / MODEL / _SECOND / MODEL_FILE
        content = bytearray(file.read_bytes())
        middle = len(content) // 2
        content[middle] ^= 0xFF
        file.write_bytes(content)

    def inject(self, site: Site) -> Injected:
        """Move the pointer to it; `recloop models promote` would refuse."""
        registry = _folder(site)
        promoted = Registry(registry).pointers(MODEL).promoted(self._version)
        at_ms = now_ms()
        (registry / MODEL / POINTERS).write_bytes(msgspec.json.encode(promoted))
        return Injected(at_ms, "a version with a damaged model was promoted")

    def evidence(self, site: Site, injected: Injected) -> str | None:
        """Wait for the swap to fail at a scorer."""
        failed = site.count(
            f"SELECT count(*) FROM model_swaps WHERE outcome = 'failed' AND written_at >= {injected.at_ms}"
        )
        return f"it did not load at {failed} scorers" if failed else None

    def mend(self, site: Site) -> None:
        """Promote the version before."""
        Registry(_folder(site)).rollback(MODEL)


class RegistryGone(Fault):
    """Take away the registry until hundreds of lists were scored without it, and put it back."""

    name = "registry-gone"
    needs = Needs.REGISTRY
    touches = "the registry"
    expects = _QUIET

    def inject(self, site: Site) -> Injected:
        """Move it away."""
        registry, at_ms = _folder(site), now_ms()
        registry.rename(_away(registry))
        return Injected(at_ms, "the registry was moved away")

    def evidence(self, site: Site, injected: Injected) -> str | None:
        """Wait for lists with scores."""
        scored = site.count(
            f"SELECT count(*) FROM recommendation_lists WHERE source = 'scored' AND written_at >= {injected.at_ms}"
        )
        return f"{scored:,} lists were scored without it" if scored >= _SCORED else None

    def mend(self, site: Site) -> None:
        """Put it back."""
        registry = _folder(site)
        _away(registry).rename(registry)


def _folder(site: Site) -> Path:
    return Path(str(site.settings.models.url))


def _away(registry: Path) -> Path:
    return registry.with_name("registry-away")
