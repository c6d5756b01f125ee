"""Faults of the model: it fails in every call, gives answers that break the contract, or hangs."""

from typing import ClassVar

from job.drills.evidence import Expectation
from job.drills.faults.fault import Fault, Injected
from job.drills.gate import Misbehavior
from job.drills.site import Site, now_ms

_SHOWN = 20


class _ModelFails(Fault):
    """A model that fails for a while; the job makes fallback lists meanwhile, and restarts nothing.

    Attributes:
        misbehavior: the model's failure.
    """

    expects = Expectation(restarts=False, reprocesses=False, scores=False)
    touches = "the model"
    misbehavior: ClassVar[Misbehavior]
    _mended_ms = 0

    def inject(self, site: Site) -> Injected:
        """Have every call fail."""
        at_ms = now_ms()
        site.setup.gate.set(self.misbehavior)
        return Injected(at_ms, f"every call of the model: {self.misbehavior.name.lower().replace('_', ' ')}")

    def evidence(self, site: Site, injected: Injected) -> str | None:
        """Wait for fallback lists with the model's failure as the reason."""
        made = site.count(
            "SELECT count(*) FROM recommendation_lists WHERE fallback_reason = 'model_error' "
            f"AND written_at >= {injected.at_ms}"
        )
        return f"{made:,} fallback lists, because the model failed" if made >= _SHOWN else None

    def mend(self, site: Site) -> None:
        """Have the model answer again."""
        site.setup.gate.open()
        self._mended_ms = now_ms()

    def is_over(self, site: Site) -> bool:
        """Return whether lists are scored again."""
        scored = (
            f"SELECT count(*) FROM recommendation_lists WHERE source = 'scored' AND written_at >= {self._mended_ms}"
        )
        return site.count(scored) >= _SHOWN


class ModelRaises(_ModelFails):
    """Have the model raise an error in every call, for a while."""

    name = "model-raises"
    misbehavior = Misbehavior.RAISES


class ModelGivesNan(_ModelFails):
    """Have the model give scores that are not a number, for a while."""

    name = "model-gives-nan"
    misbehavior = Misbehavior.NOT_A_NUMBER


class ModelGivesWrongShapes(_ModelFails):
    """Have the model give answers of another shape, for a while."""

    name = "model-gives-wrong-shapes"
    misbehavior = Misbehavior.WRONG_SHAPE


class ModelGivesUnknownItems(_ModelFails):
    """Have the model give items that are not in its vocabulary, for a while."""

    name = "model-gives-unknown-items"
    misbehavior = Misbehavior.UNKNOWN_ITEMS


class ModelHangs(Fault):
    """Have a call of the model hang for good: its worker ends itself, and the job is restored."""

    name = "model-hangs"
    touches = "the model"
    bites_within_s: ClassVar[float] = 120.0

    def inject(self, site: Site) -> Injected:
        """Have every call hang."""
        at_ms = now_ms()
        site.setup.gate.shut()
        return Injected(at_ms, "every call of the model hung until its worker ended")

    def mend(self, site: Site) -> None:
        """Have the model answer again."""
        site.setup.gate.open()
