"""The savepoints of a job: those it was stopped with, and those that were taken while it ran on.

The first are in the history of deployments, and are the last state of their job. The second are in a file beside it,
`JOB.savepoints.jsonl`, together with all that were removed; a later deployment goes on from one only by `--from`, or if
nothing newer is left.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from job.cluster import FlinkRest
from job.cluster.checkpoint_files import METADATA
from job.cluster.records import JobSummary
from job.cluster.uris import as_uri, local_path
from job.deployment.append_log import append, read
from job.deployment.deploy import running_job
from job.deployment.history import DeploymentHistory
from job.deployment.lock import held
from job.deployment.restore_point import Folders, RestorePoints, exists
from job.deployment.rollback import last_before
from job.deployment.submission import DeployError, Target
from model.files import size_of

_TAKEN, _REMOVED = "taken", "removed"
_LOCK_OF = "the job {}"


@dataclass(frozen=True, slots=True)
class Savepoint:
    """A savepoint of the job.

    Attributes:
        uri: its location.
        deployment: the number of the deployment whose job gave it; None if that is not recorded here.
        is_last: whether that job was stopped with it.
        at_ms: the time at which it was complete or recorded, epoch milliseconds.
        size_bytes: the size of its files; None if this machine does not see them.
        needed_for: what would need it; None if nothing does.
    """

    uri: str
    deployment: int | None
    is_last: bool
    at_ms: int
    size_bytes: int | None
    needed_for: str | None


class Savepoints:
    """The savepoints of one job name on a cluster.

    Args:
        target: the cluster.
        rest: its REST interface.
        job_name: the job's name.

    Raises:
        DeployError: a record is broken.
    """

    def __init__(self, target: Target, rest: FlinkRest, job_name: str) -> None:
        self._target, self._rest, self._job_name = target, rest, job_name
        self._file = target.folder / f"{job_name}.savepoints.jsonl"
        self._lock = target.folder / f"{job_name}.lock"
        self._folders = Folders.of(rest.configuration(), target.checkpoints)

    def take(self, *, timeout_s: float) -> Savepoint:
        """Have the job that runs give a savepoint, record it, and return it; the job runs on.

        Raises:
            DeployError: no such job runs.
            RefusedError: the savepoint failed.
            TimedOutError: it took too long; it may still end.
        """
        with held(self._lock, _LOCK_OF.format(self._job_name)):
            job_id = running_job(self._rest, self._job_name)
            trigger = self._rest.begin_savepoint(job_id, directory=self._folders.savepoint_target)
            uri = as_uri(self._rest.savepoint_of(job_id, trigger, timeout_s=timeout_s))
            self._record(_TAKEN, uri, job_id)
        return next(each for each in self.all() if each.uri == uri)

    def all(self) -> list[Savepoint]:
        """Return the savepoints that are there, or may be out of this machine's sight, the oldest first."""
        history = DeploymentHistory(self._target.folder, self._job_name)
        records = read(self._file)
        gone = {each["uri"] for each in records if each["step"] == _REMOVED}
        last = {as_uri(each.uri): each.at_ms for each in history.savepoints}
        taken = {each["uri"]: _ms(each["at"]) for each in records if each["step"] == _TAKEN}
        found = {**dict(self._in_folders(history)), **taken, **last}
        needed = self._needed(history)
        return [
            Savepoint(
                uri=uri,
                deployment=made_by.number if (made_by := history.of_state(uri)) else None,
                is_last=uri in last,
                at_ms=at_ms,
                size_bytes=_size(uri),
                needed_for=needed.get(uri),
            )
            for uri, at_ms in sorted(found.items(), key=lambda each: each[1])
            if uri not in gone and exists(uri, is_local=self._target.is_local) is not False
        ]

    def remove(self, given: str) -> Savepoint:
        """Have Flink remove a savepoint, and return it.

        Raises:
            DeployError: it is not one of the job's, or something needs it.
            RefusedError: Flink cannot.
        """
        uri = as_uri(given)
        with held(self._lock, _LOCK_OF.format(self._job_name)):
            savepoint = next((each for each in self.all() if each.uri == uri), None)
            if savepoint is None:
                msg = f"{given} is no savepoint of the job {self._job_name}: recloop savepoint list shows them"
                raise DeployError(msg)
            if savepoint.needed_for is not None:
                msg = f"{given} is needed: {savepoint.needed_for}"
                raise DeployError(msg)
            self._rest.dispose_savepoint(uri)
            self._record(_REMOVED, uri, "")
        return savepoint

    def _needed(self, history: DeploymentHistory) -> dict[str, str]:
        """Return savepoint -> its use: the newest state, the way back, and the beginning of the newest deployment."""
        uses: dict[str, str] = {}
        if (back := last_before(history)) is not None:
            uses[as_uri(back.state)] = "recloop rollback goes back to it"
        newest = history.newest
        if newest is not None and newest.began_from and not self._has_own_checkpoint(newest.job_id):
            uses[as_uri(newest.began_from)] = "the newest deployment began from it, and has no newer state"
        state = RestorePoints(
            self._rest, history, self._folders, self._named(), is_local=self._target.is_local
        ).newest()
        if state is not None:
            uses[state.uri] = "it is the job's newest state"
        return uses

    def _has_own_checkpoint(self, job_id: str) -> bool:
        running = {job.job_id for job in self._named() if job.state == "RUNNING"}
        return job_id in running and self._rest.checkpoints(job_id).is_own

    def _named(self) -> list[JobSummary]:
        return [job for job in self._rest.jobs() if job.name == self._job_name]

    def _in_folders(self, history: DeploymentHistory) -> Iterator[tuple[str, int]]:
        """Yield URI and time of the savepoints of recorded jobs, as the folders show them that this machine sees."""
        for folder in self._folders.savepoints:
            path = local_path(folder)
            for each in path.glob(f"savepoint-*-*/{METADATA}") if path is not None and path.is_dir() else ():
                if history.of_state(each.parent.name) is not None:
                    yield as_uri(str(each.parent)), each.stat().st_mtime_ns // 1_000_000

    def _record(self, step: str, uri: str, job_id: str) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        append(self._file, {"at": now, "step": step, "uri": uri, "job_id": job_id})


def _size(uri: str) -> int | None:
    path = local_path(uri)
    if path is None or not path.is_dir():
        return None
    return size_of(path)


def _ms(at: str) -> int:
    return int(datetime.fromisoformat(at).timestamp() * 1000)
