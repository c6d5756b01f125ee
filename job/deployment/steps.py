"""The request for a deployment, its result, and its steps."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from job.deployment.comparison import Comparison, OnComparison
from job.deployment.history import Submitted
from job.deployment.shipping import PROJECT
from job.deployment.submission import Target
from job.settings.job_settings import JobSettings

STEPS = (
    "locked",
    "checked",
    "packed",
    "begun",
    "stopping",
    "saved",
    "ended",
    "submitting",
    "submitted",
    "settled",
    "confirmed",
)
"""The steps of a deployment, each reported when it is done; the tests kill a deployment at each."""
ENDED = frozenset({"FINISHED", "CANCELED", "FAILED"})
"""The states of a job that is over."""

WAIT_S = 300.0
"""The time in which a new job has to settle: all its tasks run, and its first checkpoint is complete."""
_SAVEPOINT_S = 600.0
"""The time that Flink itself allows a checkpoint."""

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployed job that runs.

    Attributes:
        job_id: Flink's id.
        code: the name its code travels under.
        restored_from: URI of the savepoint or checkpoint it went on from; None if it began anew.
        replaced: id of the job it took over from, or None.
        settings: the file with all its settings.
    """

    job_id: str
    code: str
    restored_from: str | None
    replaced: str | None
    settings: Path


def _no_progress(_message: str) -> None:
    """Take a message, and do nothing."""


def _no_comparison(_comparison: Comparison) -> None:
    """Take a comparison, and do nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployRequest:
    """A request to submit the job in place of the one of the same name.

    Attributes:
        target: the cluster.
        settings: the settings as they were loaded.
        fresh: begin a new generation with empty state, at log.start; an embedded log at its beginning.
        start_from: URI or path of a savepoint or checkpoint to go on from.
        code: the folder that holds the packages.
        wait_s: the time limit for all tasks and the first checkpoint.
        savepoint_s: the time limit for a savepoint of the old job.
        earlier: the deployment whose code and settings are submitted again, in place of the present code.
        take_over: take the tables folder also from a job on a cluster that does not answer.
        retry: the command that messages name for a further attempt.
        on_progress: called with a message about the work at hand.
        on_step: called with each of STEPS when it is done.
        on_comparison: called with what changes against the running job, before that is stopped.
    """

    target: Target
    settings: JobSettings
    fresh: bool = False
    start_from: str | None = None
    code: Path = PROJECT
    wait_s: float = WAIT_S
    savepoint_s: float = _SAVEPOINT_S
    earlier: Submitted | None = None
    take_over: bool = False
    retry: str = "recloop deploy"
    on_progress: Progress = _no_progress
    on_step: Progress = _no_progress
    on_comparison: OnComparison = _no_comparison

    @property
    def is_local(self) -> bool:
        """True if the cluster is one of `recloop cluster start`, with all its files here."""
        return self.target.is_local

    @property
    def cluster(self) -> str:
        """The lasting name of the cluster: the folder of a local one, whose port may change, else the address."""
        return str(self.target.folder.parent) if self.is_local else self.target.rest_url.rstrip("/")
