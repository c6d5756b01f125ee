"""Deployment of the job as a transaction: it runs on its state in the new form, or goes on as it was.

Everything that can be checked is checked while the old job still runs. Then the old job is stopped with a savepoint,
whose URI is recorded at once. The new job is submitted under an id that was recorded before, and the deployment waits
until it has completed a checkpoint of its own. If it does not, the old code and settings are submitted again from that
savepoint. A deployment that is killed at any line leaves a history that the next one goes on from.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from job.cluster import FlinkRest
from job.deployment.history import DeploymentHistory, newest_stamped
from job.deployment.lock import held
from job.deployment.shipping import PROJECT
from job.deployment.steps import STEPS, Asked, Deployment
from job.deployment.submission import DeployError, Target, submit
from job.deployment.tables_owner import LOCK
from job.deployment.transaction import Transaction
from job.settings.job_settings import JobSettings

__all__ = [
    "REMOTE_DEPLOYMENTS",
    "STEPS",
    "WAIT_S",
    "DeployError",
    "Deployment",
    "Target",
    "deploy",
    "deployed_settings",
    "submit",
]

REMOTE_DEPLOYMENTS = Path(".recloop/deployments")
"""The folder that records deployments to a cluster elsewhere."""
WAIT_S = 300.0
SAVEPOINT_S = 600.0
"""The time that Flink itself allows a checkpoint."""

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class _Nothing:
    """A progress callback that does nothing."""

    def __call__(self, _: str) -> None:
        """Do nothing."""


def deploy(
    target: Target,
    settings: JobSettings,
    *,
    fresh: bool = False,
    start_from: str | None = None,
    code: Path = PROJECT,
    wait_s: float = WAIT_S,
    savepoint_s: float = SAVEPOINT_S,
    take_over: bool = False,
    retry: str = "recloop deploy",
    on_progress: Progress = _Nothing(),
    on_step: Progress = _Nothing(),
) -> Deployment:
    """Submit the job in place of the one of the same name, and wait for its first checkpoint.

    By default it goes on where that job is: a running one is stopped with a savepoint, else the newest state that is
    found is taken. An empty embedded log is made if there is none; a topic has to exist.

    Args:
        target: the cluster.
        settings: the settings as they were loaded; the hashes of bundles that stay are added.
        fresh: begin a new generation with empty state, at log.start; an embedded log at its beginning.
        start_from: URI or path of a savepoint or checkpoint to go on from.
        code: the folder that holds the packages.
        wait_s: the time limit for all tasks and the first checkpoint.
        savepoint_s: the time limit for a savepoint of the old job.
        take_over: take the tables folder also from a job on a cluster that does not answer.
        retry: the command that messages name for a further attempt.
        on_progress: called with a message about the work at hand.
        on_step: called with each of STEPS when it is done.

    Raises:
        DeployError: the job can't be packed, Flink refused it, or it did not come up; the text names what runs now.
        BundleError: a bundle is not whole.
        RegistryError: the registry of models cannot be read, or lacks a required version.
        PlacementError: the cluster can't keep scoring apart as the settings require.
        TopicError: the topic is not there, or its brokers do not answer.
    """
    settings = settings.resolved()
    with ExitStack() as stack, _told_of_files(target.folder):
        lock = stack.enter_context(held(target.folder / f"{settings.job_name}.lock", f"the job {settings.job_name}"))
        tables = settings.tables.folder
        if _can_write(tables):
            stack.enter_context(held(tables / LOCK, f"a job over {tables}"))
        asked = Asked(
            target=target,
            settings=settings,
            fresh=fresh,
            start_from=start_from,
            code=code,
            wait_s=wait_s,
            savepoint_s=savepoint_s,
            take_over=take_over,
            retry=retry,
            on_progress=on_progress,
            on_step=on_step,
            lock=lock,
        )
        return Transaction(asked, stack.enter_context(FlinkRest(target.rest_url))).run()


def deployed_settings(folder: Path, job_name: str) -> JobSettings | None:
    """Return the settings of the job's newest deployment recorded in the folder; None if there is none.

    Raises:
        DeployError: the history or the settings file is broken.
    """
    newest = DeploymentHistory(folder, job_name).newest
    file = newest.shipped.settings if newest is not None else newest_stamped(folder, job_name)
    return None if file is None else JobSettings.of_file(file)


@contextmanager
def _told_of_files(folder: Path) -> Iterator[None]:
    """Turn an error of the file system into a DeployError."""
    try:
        yield
    except OSError as error:
        msg = f"{error}: deployments are written down in {folder}, which has to be there for reading and writing"
        raise DeployError(msg) from error


def _can_write(tables: Path) -> bool:
    """Return whether this machine can write to the folder; a cluster elsewhere may have one of its own."""
    try:
        tables.mkdir(parents=True, exist_ok=True)
        (tables / LOCK).touch()
    except OSError:
        return False
    return True
