"""The versions of a registry that no pointer and no deployment names, and the bundles that a cache keeps no longer."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from job.deployment.history import DeploymentHistory
from job.deployment.leftovers import histories
from job.housekeeping.garbage import Garbage, GarbageKind
from job.settings.given import SettingsError
from job.settings.job_settings import JobSettings
from job.settings.models import ModelsSettings
from job.settings.planned_job import PlannedJob
from model.bundles.bundle_cache import KEPT, UNUSED_S, remove_unused, unused
from model.files import size_of
from model.registry.registry import Registry
from model.registry.urls import is_url

_DAY_S = 86_400


def unpointed_versions(settings: JobSettings, deployments: Path) -> Iterator[Garbage]:
    """Yield the versions of the job's model that no pointer and no recorded deployment names, but the newest of them.

    Args:
        settings: the job's; `models.url` and `models.name` are the registry and the model in it.
        deployments: the folder that records deployments; a job that is recorded elsewhere is not known here.

    Raises:
        RegistryError: the registry cannot be read.
        DeployError: a history is broken.
        SettingsError: the settings of a deployment that counts cannot be read, so what it names is not known.
    """
    models = settings.models
    if models.url is None or models.name is None:
        return
    registry = Registry(models.url)
    named = {version.id for version in registry.pointers(models.name).every} | _named_by_jobs(deployments)
    unnamed = [version for version in registry.versions(models.name) if version not in named]
    kept = settings.retention.versions
    for version in unnamed[: max(0, len(unnamed) - kept)]:
        place = f"{registry.place}/{models.name}/{version}"
        yield Garbage(
            kind=GarbageKind.VERSION,
            place=place,
            size_bytes=None if is_url(registry.place) else size_of(Path(place)),
            reason=f"no pointer or deployment names it, and {kept} newer such versions are kept",
            remove=partial(_remove_version, registry, models, version, deployments),
        )


def unused_bundles(cache: Path) -> Iterator[Garbage]:
    """Yield the bundles in this machine's cache that nobody has used for long."""
    for folder in unused(cache):
        yield Garbage(
            kind=GarbageKind.CACHED_BUNDLE,
            place=str(folder),
            size_bytes=size_of(folder),
            reason=f"not used for {UNUSED_S / _DAY_S:g} days, and not among the {KEPT} used last",
            remove=partial(remove_unused, folder),
        )


def _remove_version(registry: Registry, models: ModelsSettings, version: str, deployments: Path) -> None:
    if version not in _named_by_jobs(deployments):
        registry.remove(str(models.name), version)


def _named_by_jobs(deployments: Path) -> set[str]:
    """Return the versions that the settings of each job's newest deployment name as variants, of whatever model."""
    found: set[str] = set()
    for history in histories(deployments):
        found |= {variant.model for variant in _models_of(history).variants.values() if variant.model is not None}
    return found


def _models_of(history: DeploymentHistory) -> ModelsSettings:
    newest = history.newest
    if newest is None:
        return ModelsSettings()
    if not newest.shipped.settings.is_file():
        msg = f"{newest.shipped.settings}, the settings of a job that may run, is gone: deploy that job again"
        raise SettingsError(msg)
    return PlannedJob.of_file(newest.shipped.settings).settings.models
