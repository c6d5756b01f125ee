"""The state that a job can go on from: the newest existing savepoint or checkpoint of its name.

The sources are the cluster's REST interface, the history of deployments, and the folders that this machine sees.
States are ordered by deployment, and within one by Flink's own count of checkpoints; clocks count only if these do
not decide.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from job.cluster import FlinkRest
from job.cluster.checkpoint_files import METADATA, checkpoint_number
from job.cluster.records import JobSummary
from job.cluster.uris import as_uri, below, file_uri, local_path
from job.deployment.history import DeploymentHistory, Step

_CHECKPOINTS, _SAVEPOINTS = "execution.checkpointing.dir", "execution.checkpointing.savepoint-dir"
_LAST = 2**63
"""A number above every id, for the savepoint that a job was stopped with: it is the job's last state."""


@dataclass(frozen=True, slots=True)
class RestorePoint:
    """A savepoint or checkpoint.

    Attributes:
        uri: its location.
        job_id: the job whose state it is.
        order: that job's place among the deployments.
        checkpoint_id: Flink's count, which continues when a job goes on from another one's state.
        at_ms: the time at which it was complete, epoch milliseconds.
    """

    uri: str
    job_id: str
    order: float
    checkpoint_id: int
    at_ms: int

    @property
    def rank(self) -> tuple[float, int, int]:
        """The sort key; a newer state has a higher one."""
        return (self.order, self.checkpoint_id, self.at_ms)


@dataclass(frozen=True, slots=True)
class Folders:
    """The URIs of the folders in which a cluster keeps state."""

    checkpoints: tuple[str, ...]
    savepoints: tuple[str, ...]
    savepoint_target: str | None
    """The folder to give if the cluster names none for savepoints; None if it names one, or has no folder at all."""

    @classmethod
    def of(cls, configuration: dict[str, str], given: Path | None) -> "Folders":
        """Return the folders of the cluster's settings, and the one that the user or a local cluster names."""
        named = configuration.get(_CHECKPOINTS), configuration.get(_SAVEPOINTS)
        mine = (file_uri(given),) if given is not None else ()
        checkpoints = tuple(dict.fromkeys([*mine, *([as_uri(named[0])] if named[0] else [])]))
        inside = below(checkpoints[-1], "savepoints") if checkpoints else None
        savepoints = [as_uri(named[1])] if named[1] else []
        every = (*savepoints, *(below(each, "savepoints") for each in checkpoints))
        return cls(checkpoints, tuple(every), None if named[1] else inside)


def exists(uri: str, *, is_local: bool) -> bool | None:
    """Return whether the state exists with its `_metadata`; None if this machine cannot know.

    Args:
        uri: its expected location.
        is_local: whether the cluster's files are this machine's, so that a file not found here does not exist.
    """
    path = local_path(uri)
    if path is None:
        return None
    if (path / METADATA).is_file() or (path.name == METADATA and path.is_file()):
        return True
    # For a cluster elsewhere, a folder that is missing here may be the cluster's; one whose parent is here was removed.
    return False if is_local or path.exists() or path.parent.is_dir() else None


class RestorePoints:
    """All that is known of a job's state.

    Args:
        rest: the cluster.
        history: the deployments.
        folders: the folders in which state may lie.
        named: the jobs of that name that the cluster remembers.
        others: ids of further jobs of that name in the current generation, oldest first.
        is_local: whether the cluster's files are this machine's.
    """

    def __init__(
        self,
        rest: FlinkRest,
        history: DeploymentHistory,
        folders: Folders,
        named: Iterable[JobSummary],
        others: Iterable[str] = (),
        *,
        is_local: bool,
    ) -> None:
        self._is_local = is_local
        self._rest = rest
        self._history = history
        self._folders = folders
        self._named = {job.job_id: job for job in named}
        self._order = self._ordered(list(others))

    @property
    def jobs(self) -> list[str]:
        """Ids of the jobs whose state counts, oldest first."""
        return sorted(self._order, key=lambda job_id: self._order[job_id])

    def newest(self) -> RestorePoint | None:
        """Return the newest state that exists, or that may exist out of this machine's sight; None if there is none."""
        return next(iter(self.newest_first()), None)

    def newest_first(self) -> list[RestorePoint]:
        """Return all states that exist, or that may exist out of this machine's sight, each once."""
        there = [each for each in self._all() if exists(each.uri, is_local=self._is_local) is not False]
        newest: dict[str, RestorePoint] = {}
        for each in sorted(there, key=lambda point: point.rank, reverse=True):
            newest.setdefault(each.uri, each)  # a state that a job was restored from has a second, older place
        return list(newest.values())

    def ran_before(self) -> str | None:
        """Return the id of the newest job that may have had state; None if there is none."""
        return next((job_id for job_id in reversed(self.jobs) if not self._had_none(job_id)), None)

    def _ordered(self, others: list[str]) -> dict[str, float]:
        """Return each job id's place: the deployment's number, or a number between those that it began between."""
        newest = self._history.newest
        generation = newest.generation if newest else 0
        mine = [
            each for each in self._history.submitted if each.generation == generation and each.outcome != Step.FAILED
        ]
        begun_ms = min((each.at_ms for each in mine), default=0)
        older = [*([] if generation else self._history.legacy_ids), *others]
        order = {job_id: number - len(older) - 0.75 for number, job_id in enumerate(older)}
        order |= {each.job_id: float(each.number) for each in mine}
        known = {each.job_id for each in self._history.submitted} | set(self._history.legacy_ids) | set(order)
        for job in sorted(self._named.values(), key=lambda job: job.start_ms):
            if job.job_id not in known and job.start_ms >= begun_ms:
                before = max((each.number for each in mine if each.at_ms <= job.start_ms), default=0)
                order[job.job_id] = before + 0.25 + job.start_ms / 2**53
        return order

    def _all(self) -> Iterator[RestorePoint]:
        yield from self._of_history()
        for job_id, order in self._order.items():
            yield from self._in_folders(job_id, order)
            if job_id in self._named:
                yield from self._of_rest(job_id, order)

    def _of_history(self) -> Iterator[RestorePoint]:
        for savepoint in self._history.savepoints:
            if (order := self._order.get(savepoint.job_id)) is not None:
                yield RestorePoint(as_uri(savepoint.uri), savepoint.job_id, order, _LAST, savepoint.at_ms)
        for each in self._history.submitted:
            if each.job_id in self._order and each.began_from:
                yield RestorePoint(as_uri(each.began_from), each.job_id, each.number - 0.5, 0, each.at_ms)

    def _of_rest(self, job_id: str, order: float) -> Iterator[RestorePoint]:
        stats = self._rest.checkpoints(job_id)
        over = self._named[job_id].state in ("FINISHED", "CANCELED") and not self._retained(job_id)
        for each in stats.kept:
            if each.is_savepoint or not over:
                yield RestorePoint(as_uri(str(each.path)), job_id, order, each.checkpoint_id, each.completed_ms)
        if stats.restored_from:
            yield RestorePoint(as_uri(stats.restored_from), job_id, order - 0.5, 0, self._named[job_id].start_ms)

    def _retained(self, job_id: str) -> bool:
        """Return whether the checkpoints of an ended job are still there; those of a finished one are not."""
        return self._named[job_id].state == "CANCELED" and self._rest.retains_checkpoints(job_id)

    def _in_folders(self, job_id: str, order: float) -> Iterator[RestorePoint]:
        found = [(folder, f"{job_id}/chk-*/{METADATA}") for folder in self._folders.checkpoints]
        found += [(folder, f"savepoint-{job_id[:6]}-*/{METADATA}") for folder in self._folders.savepoints]
        for folder, pattern in found:
            path = local_path(folder)
            for metadata in path.glob(pattern) if path is not None and path.is_dir() else ():
                uri, at_ms = file_uri(metadata.parent), metadata.stat().st_mtime_ns // 1_000_000
                yield RestorePoint(uri, job_id, order, checkpoint_number(metadata), at_ms)

    def _had_none(self, job_id: str) -> bool:
        """Return whether the job is known never to have completed a checkpoint, nor to have begun from one."""
        deployed = self._history.of_job(job_id)
        if deployed is not None and (deployed.outcome == Step.CONFIRMED or deployed.began_from):
            return False
        if job_id in self._named:
            counted = self._rest.checkpoints(job_id)
            return counted.completed == 0 and counted.restored == 0
        return deployed is not None and self._never_started(job_id)

    def _never_started(self, job_id: str) -> bool:
        """Return whether the job's folder was never made; Flink makes it first of all."""
        paths = [path for each in self._folders.checkpoints if (path := local_path(each)) is not None and path.is_dir()]
        return bool(paths) and not any((path / job_id).exists() for path in paths)
