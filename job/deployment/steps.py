"""The request for a deployment, its result, and its steps."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

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


@dataclass(frozen=True, slots=True)
class Asked:
    """The arguments of `deploy`; `settings` are resolved, `lock` is the descriptor that the client holds too."""

    target: Target
    settings: JobSettings
    fresh: bool
    start_from: str | None
    code: Path
    wait_s: float
    savepoint_s: float
    take_over: bool
    retry: str
    on_progress: Progress
    on_step: Progress
    lock: int

    @property
    def is_local(self) -> bool:
        """True if the cluster is one of `recloop cluster start`, with all its files here."""
        return self.target.checkpoints == self.target.folder.parent / "checkpoints"

    @property
    def cluster(self) -> str:
        """The lasting name of the cluster: the folder of a local one, whose port may change, else the address."""
        return str(self.target.folder.parent) if self.is_local else self.target.rest_url.rstrip("/")
