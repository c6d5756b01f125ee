"""The models that a running job serves, by its table model_swaps, beside those that the registry wants served."""

from dataclasses import dataclass

from job.settings.job_settings import JobSettings
from job.tables.errors import TablesError
from job.topology.served_models import variants
from model.registry.bundle_source import FromRegistry
from model.registry.errors import RegistryError
from model.registry.registry import Registry

_SERVED = """
SELECT variant, model_version, CAST(count(*) AS INTEGER) AS scorers, max("timestamp") AS since
FROM (
  SELECT *, row_number() OVER (PARTITION BY scorer, variant ORDER BY epoch DESC, "timestamp" DESC) AS newest
  FROM model_swaps WHERE outcome <> 'failed' AND scorer < ?
)
WHERE newest = 1 GROUP BY variant, model_version ORDER BY variant, since DESC
"""
_FAILED = """
SELECT variant, model_version, problem, "timestamp" FROM model_swaps AS failed
WHERE outcome = 'failed' AND NOT EXISTS (
  SELECT 1 FROM model_swaps AS later
  WHERE later.scorer = failed.scorer AND later.variant = failed.variant AND later.outcome <> 'failed'
  AND (later.epoch > failed.epoch OR (later.epoch = failed.epoch AND later."timestamp" >= failed."timestamp"))
)
ORDER BY epoch DESC, "timestamp" DESC LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class ServedVersion:
    """A version that is served.

    Attributes:
        variant: the variant that it is served to.
        version: the bundle's version.
        scorers: the number of subtasks that serve it.
        since_ms: the time since which all of them do, epoch ms.
    """

    variant: str
    version: str
    scorers: int
    since_ms: int


@dataclass(frozen=True, slots=True)
class FailedSwap:
    """The newest version that did not load and was not followed by one that did."""

    variant: str
    version: str
    problem: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """The served models, and those that should be.

    Attributes:
        served: the served versions by variant, the newest first.
        failed: the newest version that failed to load, or None.
        wanted: variant -> the version that the registry's pointers name for it now.
        problem: the reason why this report is incomplete, or None.
    """

    served: list[ServedVersion]
    failed: FailedSwap | None
    wanted: dict[str, str]
    problem: str | None


def read_models(settings: JobSettings | None) -> ModelStatus:
    """Read the table and the registry, as far as this machine sees them."""
    try:
        if settings is None or not settings.tables.folder.is_dir():
            return ModelStatus([], None, {}, "the job's tables are not seen from here")
        from job.tables import duck  # the `recloop` command starts without it

        with duck.connect(settings.tables.folder) as connection:
            served_rows = duck.run(connection, _SERVED, [settings.scorers]).rows
            failed_rows = duck.run(connection, _FAILED).rows
    except (TablesError, OSError) as error:
        return ModelStatus([], None, {}, str(error))
    served = [ServedVersion(*row) for row in served_rows]  # type: ignore[arg-type]
    failed = next((FailedSwap(*row) for row in failed_rows), None)  # type: ignore[arg-type]
    wanted = {}
    try:
        for variant in variants(settings, {}):
            source = variant.source
            if isinstance(source, FromRegistry) and source.follows:
                version = source.named_by(Registry(source.url).pointers(source.name))
                wanted[variant.name] = version.id if version else "none"
    except RegistryError as error:
        return ModelStatus(served, failed, {}, str(error))
    return ModelStatus(served, failed, wanted, None)
