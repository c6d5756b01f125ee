"""Resumption of a job that its cluster lost, as one does whose JobManager died without high availability.

The code and settings of the last deployment are submitted again, from the newest state that restores: a state that is
there but damaged is passed over for the one before it.
"""

from collections.abc import Iterator
from contextlib import ExitStack

from job.cluster import FlinkRest
from job.deployment import tables_owner
from job.deployment.history import DeploymentHistory, Shipped, Step, Submitted, settings_file
from job.deployment.launch import Launch, Numbers
from job.deployment.lock import held
from job.deployment.restore_point import Folders, RestorePoint, RestorePoints
from job.deployment.steps import ENDED, DeployRequest, Progress
from job.deployment.submission import DeployError, Target
from job.settings.planned_job import PlannedJob, renumbered
from model.files import sync

_MOST_STATES = 4
"""States that are tried: a cluster keeps 3 checkpoints, and a savepoint may lie before them."""


def resume(target: Target, job_name: str, on_progress: Progress) -> str | None:
    """Submit the lost job of a local cluster again, and return its new id; None if the cluster has the job after all.

    Raises:
        DeployError: the job was never deployed, its files are gone, another deployment is under way, or it came up from
            no state.
    """
    lost = _last_confirmed(target, job_name)
    settings = PlannedJob.of_file(lost.shipped.settings).settings
    request = DeployRequest(target=target, settings=settings, on_progress=on_progress)
    tables = settings.tables.folder
    with ExitStack() as stack:
        lock = stack.enter_context(held(target.folder / f"{job_name}.lock", f"the job {job_name}"))
        stack.enter_context(held(tables / tables_owner.LOCK, f"a job over {tables}"))
        rest = stack.enter_context(FlinkRest(target.rest_url))
        if any(job.name == job_name and job.state not in ENDED for job in rest.jobs()):
            return None
        history = DeploymentHistory(target.folder, job_name)
        launch = Launch(request, rest, lock, history, has_tables=True)
        return _from_newest(request, launch, history, lost, list(_states(request, rest, history)))


def _last_confirmed(target: Target, job_name: str) -> Submitted:
    history = DeploymentHistory(target.folder, job_name)
    confirmed = (each for each in reversed(history.submitted) if each.outcome == Step.CONFIRMED)
    found = next(confirmed, None)
    if found is None or not found.shipped.is_there:
        msg = f"the code and settings of {job_name} are not in {target.folder} any more: recloop deploy"
        raise DeployError(msg)
    return found


def _states(request: DeployRequest, rest: FlinkRest, history: DeploymentHistory) -> Iterator[RestorePoint]:
    """Yield the states to try, the newest first."""
    folders = Folders.of(rest.configuration(), request.target.checkpoints)
    points = RestorePoints(rest, history, folders, [], is_local=True)
    yield from points.newest_first()[:_MOST_STATES]


def _from_newest(
    request: DeployRequest, launch: Launch, history: DeploymentHistory, lost: Submitted, states: list[RestorePoint]
) -> str:
    problem = "no state of it is found"
    for state in states:
        request.on_progress(f"going on from {state.uri}")
        number = max(history.highest_number, tables_owner.highest(request.settings.tables.folder)[0]) + 1
        which = Numbers(number, lost.generation)
        try:
            return launch.submit(which, _renumbered(request, lost.shipped, which), state.uri)
        except DeployError as error:
            problem = str(error)
            request.on_progress(f"{state.uri} does not restore: {problem}")
    msg = f"{request.settings.job_name} did not come up again ({problem}): recloop deploy --from URI, or --fresh"
    raise DeployError(msg)


def _renumbered(request: DeployRequest, shipped: Shipped, which: Numbers) -> Shipped:
    """Return the files of a deployment with other numbers in its settings."""
    file = settings_file(request.target.folder, request.settings.job_name, which.number)
    file.write_bytes(renumbered(shipped.settings, **which._asdict()))
    sync(file)
    return Shipped(file, shipped.archive, shipped.entry)
