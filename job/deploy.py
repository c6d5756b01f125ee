"""Deploying the job: packing the code, choosing the state to go on from, and submitting by Flink's command line."""

import json
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from job.behavior_log import begun, make_ready
from job.cluster import FlinkRest, RefusedError, TimedOutError
from job.cluster.records import JobSummary
from job.cluster_checks import check_cluster
from job.kafka.published import make_topics_ready
from job.serving import pinned
from job.settings import JobSettings
from job.shipping import PROJECT, pack
from job.slots import placed
from job.submission import DeployError, Target, submit

REMOTE_DEPLOYMENTS = Path(".recloop/deployments")
"""Where deployments to a cluster elsewhere are written down."""
_ENDED = frozenset({"FINISHED", "CANCELED", "FAILED"})

Progress = Callable[[str], None]

__all__ = [
    "REMOTE_DEPLOYMENTS",
    "DeployError",
    "Deployment",
    "Progress",
    "Target",
    "deploy",
    "deployed_settings",
    "newest_checkpoint",
    "submit",
]


@dataclass(frozen=True, slots=True)
class Deployment:
    """A job that runs.

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


def deploy(
    target: Target,
    settings: JobSettings,
    *,
    fresh: bool = False,
    start_from: str | None = None,
    code: Path = PROJECT,
    on_progress: Progress = lambda _: None,
) -> Deployment:
    """Submits the job, in place of the one of the same name.

    Without further word it goes on where that job is: a running one is stopped with a savepoint, else its newest
    retained checkpoint is taken. An embedded log that is not there is made, empty; a topic has to be there.

    Args:
        target: the cluster.
        settings: as they were loaded; the hashes of bundles that stay are added.
        fresh: begin anew, with empty state, where log.start says; an embedded log at its beginning.
        start_from: URI of a savepoint or checkpoint to go on from.
        code: the folder that holds the packages.
        on_progress: hears what is being done.

    Raises:
        DeployError: the job can't be packed or Flink refused it.
        BundleError: a bundle is not whole.
        RegistryError: the registry of models cannot be read, or has no version where it should.
        PlacementError: the cluster can't keep scoring apart, as it should.
        TopicError: the topic is not there, or its brokers do not answer.
    """
    settings = _placed(target, pinned(settings.resolved()))
    make_ready(settings)
    for topic in make_topics_ready(settings):
        on_progress(f"made the topic {topic}")
    history = _History(target.folder / f"{settings.job_name}.json")
    with FlinkRest(target.rest_url) as rest:
        running = [job for job in rest.jobs() if job.name == settings.job_name and job.state not in _ENDED]
        state = start_from or _hand_over(rest, running, fresh=fresh, on_progress=on_progress)
        _end(rest, running)
    if state is None and not fresh and target.checkpoints is not None:
        state = newest_checkpoint(target.checkpoints, history.job_ids())
    settings = begun(settings) if state is None else _begun_before(settings, target.folder)
    on_progress("packing the code")
    settings_file = target.folder / f"{settings.job_name}-{time.strftime('%Y%m%d-%H%M%S')}.json"
    settings.to_file(settings_file)
    shipment = pack(target.folder / "code", code)
    on_progress("submitting")
    files = ["-pyfs", str(shipment.archive), "-py", str(shipment.entry), "--settings", str(settings_file)]
    job_id = submit(target, [*(["-s", state] if state else []), *files])
    history.add(job_id)
    return Deployment(job_id, shipment.name, state, running[0].job_id if running else None, settings_file)


def _begun_before(settings: JobSettings, folder: Path) -> JobSettings:
    """With the start offsets of the deployment it goes on from: a partition may not have been found until then."""
    before = deployed_settings(folder, settings.job_name)
    if before is None or before.log.topic != settings.log.topic:
        return settings
    return settings.model_copy(
        update={"log": settings.log.model_copy(update={"start_offsets": before.log.start_offsets})}
    )


def deployed_settings(folder: Path, job_name: str) -> JobSettings | None:
    """The settings of the job's newest deployment that is written down in the folder; None where none is."""
    stamped = re.compile(rf"{re.escape(job_name)}-\d{{8}}-\d{{6}}\.json")
    newest = max((file for file in folder.glob("*.json") if stamped.fullmatch(file.name)), default=None)
    return None if newest is None else JobSettings.of_file(newest)


def newest_checkpoint(folder: Path, job_ids: list[str]) -> str | None:
    """URI of the newest retained checkpoint of any of the jobs; None where there is none."""
    found = [done for job_id in job_ids for done in (folder / job_id).glob("chk-*/_metadata")]
    newest = max(found, key=lambda done: done.stat().st_mtime, default=None)
    return None if newest is None else newest.parent.absolute().as_uri()


def _placed(target: Target, settings: JobSettings) -> JobSettings:
    with FlinkRest(target.rest_url) as rest:
        check_cluster(rest, settings)
        return placed(settings, rest)


class _History:
    """The ids of a job's earlier runs, oldest first, in a file."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def job_ids(self) -> list[str]:
        return list(json.loads(self._file.read_text())) if self._file.is_file() else []

    def add(self, job_id: str) -> None:
        self._file.write_text(json.dumps([*self.job_ids(), job_id]))


def _hand_over(rest: FlinkRest, running: list[JobSummary], *, fresh: bool, on_progress: Progress) -> str | None:
    """Stops the running job with a savepoint, and says where that is; a failing job has none to give.

    Nothing is lost without one: the newest checkpoint is taken instead, and what came after it is done again.
    """
    if fresh or not running or running[0].state != "RUNNING":
        return None
    on_progress("stopping the running job with a savepoint")
    try:
        return rest.stop_with_savepoint(running[0].job_id)
    except (RefusedError, TimedOutError):
        on_progress("no savepoint to be had: going on from the newest checkpoint")
        return None


def _end(rest: FlinkRest, running: list[JobSummary]) -> None:
    for job in running:
        with suppress(RefusedError):  # it ended meanwhile
            rest.cancel(job.job_id)
        rest.wait_for_job(job.job_id, lambda told: told.is_over, timeout_s=60, what="the end of the old job")
