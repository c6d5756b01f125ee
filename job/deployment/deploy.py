"""Deployment of the job as a transaction: it runs on its state in the new form, or goes on as it was.

Everything that can be checked is checked while the old job still runs. Then the old job is stopped with a savepoint,
whose URI is recorded at once. The new job is submitted under an id that was recorded before, and the deployment waits
until it has completed a checkpoint of its own. If it does not, the old code and settings are submitted again from that
savepoint. A deployment that is killed at any line leaves a history that the next one goes on from.
"""

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from job.cluster import FlinkRest
from job.deployment.comparison import Comparison, compare
from job.deployment.history import DeploymentHistory, newest_stamped
from job.deployment.lock import held
from job.deployment.shipping import PROJECT, code_name
from job.deployment.steps import ENDED, STEPS, WAIT_S, Deployment, DeployRequest
from job.deployment.submission import DeployError, Target, submit
from job.deployment.tables_owner import LOCK
from job.deployment.transaction import Transaction
from job.settings.job_settings import JobSettings
from job.settings.planned_job import PlannedJob

__all__ = [
    "REMOTE_DEPLOYMENTS",
    "STEPS",
    "WAIT_S",
    "DeployError",
    "DeployRequest",
    "Deployment",
    "Target",
    "compare_with_running",
    "deploy",
    "deployed_settings",
    "running_job",
    "submit",
]

REMOTE_DEPLOYMENTS = Path(".recloop/deployments")
"""The folder that records deployments to a cluster elsewhere."""


def deploy(request: DeployRequest) -> Deployment:
    """Submit the job in place of the one of the same name, and wait for its first checkpoint.

    By default it goes on where that job is: a running one is stopped with a savepoint, else the newest state that is
    found is taken. An empty embedded log is made if there is none; a topic has to exist.

    Raises:
        DeployError: the job can't be packed, Flink refused it, or it did not come up; the text names what runs now.
        BundleError: a bundle is not whole.
        RegistryError: the registry of models cannot be read, or lacks a required version.
        PlacementError: the cluster can't keep scoring apart as the settings require.
        TopicError: the topic is not there, or its brokers do not answer.
    """
    settings, folder = request.settings.resolved(), request.target.folder
    tables = settings.tables.folder
    try:
        with ExitStack() as stack:
            lock = stack.enter_context(held(folder / f"{settings.job_name}.lock", f"the job {settings.job_name}"))
            if _can_write(tables):
                stack.enter_context(held(tables / LOCK, f"a job over {tables}"))
            rest = stack.enter_context(request.target.rest())
            return Transaction(replace(request, settings=settings), rest, lock).run()
    except OSError as error:
        msg = f"{error}: deployments are written down in {folder}, which has to be there for reading and writing"
        raise DeployError(msg) from error


def compare_with_running(rest: FlinkRest, folder: Path, settings: JobSettings, code: Path = PROJECT) -> Comparison:
    """Return what a deployment of these settings, and of the code in a folder, would change against the job that runs.

    Args:
        rest: the cluster.
        folder: the folder that records deployments.
        settings: the settings as they were loaded; `job_name` is the job to compare with.
        code: the folder that holds the packages.

    Raises:
        DeployError: no such job runs, or another folder has the record of its deployment.
        SettingsError: its settings are of a release with others.
    """
    job_id = running_job(rest, settings.job_name)
    deployed = DeploymentHistory(folder, settings.job_name).of_job(job_id)
    if deployed is None:
        msg = (
            f"the job {job_id} runs on {rest.url}, and {folder} has no record of its deployment: compare from the "
            "folder that it was deployed from"
        )
        raise DeployError(msg)
    return compare(job_id, deployed.shipped, settings.resolved(), code_name(code))


def running_job(rest: FlinkRest, name: str) -> str:
    """Return the id of the newest job of a name that runs.

    Raises:
        DeployError: none does.
    """
    running = (job.job_id for job in rest.jobs() if job.name == name and job.state not in ENDED)
    if (job_id := next(running, None)) is None:
        msg = f"no job named {name} runs on {rest.url}: recloop deploy begins one"
        raise DeployError(msg)
    return job_id


def deployed_settings(folder: Path, job_name: str) -> JobSettings | None:
    """Return the settings of the job's newest deployment recorded in the folder; None if there is none.

    Raises:
        DeployError: the history is broken.
        SettingsError: the settings file is broken, or of a version with other settings.
    """
    newest = DeploymentHistory(folder, job_name).newest
    file = newest.shipped.settings if newest is not None else newest_stamped(folder, job_name)
    return None if file is None else PlannedJob.of_file(file).settings


def _can_write(tables: Path) -> bool:
    """Return whether this machine can write to the folder; a cluster elsewhere may have one of its own."""
    try:
        tables.mkdir(parents=True, exist_ok=True)
        (tables / LOCK).touch()
    except OSError:
        return False
    return True
