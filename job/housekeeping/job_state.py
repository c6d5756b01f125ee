"""The checkpoints and savepoints of replaced jobs that no deployment would go on from or go back to.

Nothing is found unless the deployment that counts runs and has completed a checkpoint of its own: from then on Flink
needs nothing of the state that it began with.
"""

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from job.cluster import FlinkRest
from job.cluster.uris import local_path
from job.deployment.history import DeploymentHistory, Step
from job.deployment.lock import held
from job.deployment.restore_point import Folders
from job.deployment.savepoints import Savepoints
from job.deployment.steps import ENDED
from job.deployment.submission import Target
from job.housekeeping.garbage import Garbage, GarbageKind
from model.files import size_of


class JobState:
    """The state of one job name on a cluster.

    Args:
        target: the cluster.
        rest: its REST interface.
        job_name: the job's name.
        kept: the number of newest deployments whose state at their beginning is kept.

    Raises:
        DeployError: a record is broken.
    """

    def __init__(self, target: Target, rest: FlinkRest, job_name: str, kept: int) -> None:
        self._target, self._rest, self._job_name, self._kept = target, rest, job_name, kept
        self._folders = Folders.of(rest.configuration(), target.checkpoints)
        self._savepoints = Savepoints(target, rest, job_name)

    def garbage(self) -> Iterator[Garbage]:
        """Yield what no deployment needs.

        Raises:
            RestError: the cluster does not answer.
            DeployError: a record is broken.
        """
        history = DeploymentHistory(self._target.folder, self._job_name)
        newest = history.newest
        if newest is None or not self._is_settled(newest.job_id):
            return
        yield from self._unneeded_savepoints(history)
        for folder in self._unneeded_checkpoints(history):
            deployment = history.of_job(folder.name)
            yield Garbage(
                kind=GarbageKind.CHECKPOINTS,
                place=str(folder),
                size_bytes=size_of(folder),
                reason=f"of deployment {deployment.number if deployment else '?'}; {newest.number} has newer state",
                remove=partial(self._remove_checkpoints, folder),
            )

    def _is_settled(self, job_id: str) -> bool:
        running = {job.job_id for job in self._rest.jobs() if job.state == "RUNNING"}
        return job_id in running and self._rest.checkpoints(job_id).is_own

    def _unneeded_savepoints(self, history: DeploymentHistory) -> Iterator[Garbage]:
        """Yield savepoints that jobs were stopped with; those that somebody took stay until somebody removes them."""
        last = [each for each in self._savepoints.all() if each.is_last]
        began = self._kept_beginnings(history)
        for each in last:
            if each.needed_for is None and _local_form(each.uri) not in began:
                yield Garbage(
                    kind=GarbageKind.SAVEPOINT,
                    place=each.uri,
                    size_bytes=each.size_bytes,
                    reason=f"of deployment {each.deployment}; {self._kept} newer deployments are kept to go back to",
                    remove=partial(self._remove_savepoint, each.uri),
                )

    def _remove_savepoint(self, uri: str) -> None:
        self._savepoints.remove(uri)

    def _unneeded_checkpoints(self, history: DeploymentHistory) -> list[Path]:
        """Return the folders of checkpoints of recorded jobs that are over, and that no kept deployment began from."""
        at_work = {job.job_id for job in self._rest.jobs() if job.state not in ENDED}
        newest = history.newest.job_id if history.newest else ""
        ids = {each.job_id for each in history.submitted} - at_work - {newest}
        began = self._kept_beginnings(history)
        folders = [path for each in self._folders.checkpoints if (path := local_path(each)) is not None]
        found = {folder / job_id for folder in folders for job_id in ids}
        return sorted(each for each in found if each.is_dir() and not any(str(each) in uri for uri in began))

    def _kept_beginnings(self, history: DeploymentHistory) -> set[str]:
        """Return the states that the newest deployments began from, without those that failed."""
        counting = [each for each in history.submitted if each.outcome != Step.FAILED]
        return {_local_form(each.began_from) for each in counting[-self._kept :] if each.began_from}

    def _remove_checkpoints(self, folder: Path) -> None:
        with held(self._target.folder / f"{self._job_name}.lock", f"the job {self._job_name}"):
            if folder in self._unneeded_checkpoints(DeploymentHistory(self._target.folder, self._job_name)):
                shutil.rmtree(folder)


def _local_form(uri: str) -> str:
    """Return the path of a file URI, which may be written in several forms; any other URI as it is."""
    path = local_path(uri)
    return uri if path is None else str(path)
