"""A deployment beside the one that runs: the settings and the code that it would change, and what its state forbids."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from job.deployment.history import Shipped
from job.settings.effective import changed
from job.settings.job_settings import JobSettings
from job.settings.planned_job import PlannedJob


@dataclass(frozen=True, slots=True)
class Change:
    """A setting that another deployment has otherwise.

    Attributes:
        name: the full name, as `--set` takes it.
        before: the running job's value, as JSON has it; None if it has none.
        after: the other one's.
        needs_fresh: whether the job's state does not fit the other value, so that the job has to begin anew.
    """

    name: str
    before: Any
    after: Any
    needs_fresh: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """The differences between the running job and a deployment that would replace it.

    Attributes:
        job_id: the job that runs.
        code_before: the name its code travels under.
        code_after: that of the other code.
        settings: the settings that differ.
        operators: the operators with state of the running job, each of which the other one has; none before the job
            was declared.
        buckets: the number of buckets, the max parallelism, which is the same in both unless a change `needs_fresh`.
    """

    job_id: str
    code_before: str
    code_after: str
    settings: tuple[Change, ...]
    operators: tuple[str, ...] = ()
    buckets: int = 0

    @property
    def needs_fresh(self) -> list[str]:
        """The settings that the job's state does not fit."""
        return [change.name for change in self.settings if change.needs_fresh]


def compare(
    job_id: str, shipped: Shipped, settings: JobSettings, code: str, operators: tuple[str, ...] = ()
) -> Comparison:
    """Return the differences between a running job and another deployment.

    Args:
        job_id: the running job.
        shipped: its files.
        settings: those of the other deployment, resolved.
        code: the name of the other one's code.
        operators: the operators with state that both have.

    Raises:
        SettingsError: the running job's settings cannot be read, or are of a release with others.
    """
    return Comparison(
        job_id=job_id,
        code_before=shipped.archive.stem,
        code_after=code,
        settings=changes(PlannedJob.of_file(shipped.settings).settings, settings),
        operators=operators,
        buckets=settings.flink.buckets,
    )


OnComparison = Callable[[Comparison], None]


def changes(before: JobSettings, after: JobSettings) -> tuple[Change, ...]:
    """Return the settings that differ between two deployments; both are resolved."""
    old, new = ({"flink.buckets": each.flink.buckets, **place_in_log(each)} for each in (before, after))
    return tuple(
        Change(name, *values, needs_fresh=old.get(name) != new.get(name))
        for name, values in changed(before, after).items()
    )


def place_in_log(settings: JobSettings) -> dict[str, str]:
    """Return the settings of the log that the job's place in it, which is state, depends on."""
    log = settings.log
    if log.kind == "files":
        return {"log.kind": log.kind}
    return {"log.kind": log.kind, "log.topic": log.topic, "kafka.connector": settings.kafka.connector}
