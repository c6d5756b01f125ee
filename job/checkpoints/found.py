"""The checkpoints and savepoints in a folder, or of a job: what is retained, and of which moment each is."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from job.checkpoints.contents import CheckpointError
from job.cluster.checkpoint_files import METADATA, checkpoint_number
from job.cluster.layout import Layout
from job.cluster.uris import local_path
from job.deployment.history import DeploymentHistory

_DEEPEST = 3
"""From the state folder of a cluster to a checkpoint: checkpoints/JOB/chk-N."""
_CHECKPOINT = re.compile(r"chk-\d+")
_SAVEPOINT = re.compile(r"savepoint-([0-9a-f]{6})-[0-9a-f]+")
_JOB = re.compile(r"[0-9a-f]{32}")
_DEPLOYMENTS = "deployments"


@dataclass(frozen=True, slots=True)
class FoundCheckpoint:
    """A checkpoint or savepoint on disk.

    Attributes:
        path: its folder.
        number: Flink's count, which goes on over restores.
        is_savepoint: whether it is a savepoint; Flink removes those never.
        job: id of the job whose state it is, of a savepoint its first six digits; None if its folder does not name it.
        at_ms: the time at which it was complete, epoch milliseconds.
    """

    path: Path
    number: int
    is_savepoint: bool
    job: str | None
    at_ms: int


def find_checkpoints(where: str, cluster: Path) -> list[FoundCheckpoint]:
    """Return the checkpoints in a folder or of a job, oldest first.

    Args:
        where: a folder that has them in it or is one of them, or the name or id of a job.
        cluster: the state folder of the cluster on which a job of that name was deployed.

    Raises:
        CheckpointError: it is neither, or has none.
        DeployError: the history of that job's deployments is damaged.
    """
    folder = local_path(where) or Path(where)
    if folder.exists():
        found = list(_in_folder(folder))
        if not found:
            msg = f"{where} has no checkpoint or savepoint in it (no {METADATA}): give a folder of them, or a job"
            raise CheckpointError(msg)
    else:
        found = list(_of_job(where, cluster))
        if not found:
            msg = (
                f"{where} is no folder, and no job of that name or id has a checkpoint in {cluster}: give the folder "
                "of a checkpoint, or the cluster's state folder with --dir"
            )
            raise CheckpointError(msg)
    return sorted(found, key=lambda each: (each.at_ms, each.number))


def newest_by(found: list[FoundCheckpoint], moment_ms: int) -> FoundCheckpoint:
    """Return the newest checkpoint that was complete at a moment.

    Raises:
        CheckpointError: all are newer.
    """
    before = [each for each in found if each.at_ms <= moment_ms]
    if not before:
        msg = (
            "the oldest checkpoint that is retained was complete later than that: older lists are in the tables, as in "
            'recloop sql "select * from recommendation_lists where written_at <= ..."'
        )
        raise CheckpointError(msg)
    return before[-1]


def _of_job(name: str, cluster: Path) -> Iterator[FoundCheckpoint]:
    layout = Layout(cluster)
    jobs = {name}
    if _JOB.fullmatch(name) is None and re.fullmatch(r"[\w.-]+", name):
        history = DeploymentHistory(cluster / _DEPLOYMENTS, name)
        jobs = {each.job_id for each in history.submitted} | set(history.legacy_ids)
        elsewhere = (local_path(each.uri) for each in history.savepoints)
        yield from (
            each
            for path in elsewhere
            if path is not None and not path.is_relative_to(layout.savepoints.absolute())
            for each in _in_folder(path)
        )
    for folder in (layout.checkpoints, layout.savepoints):
        for each in _in_folder(folder):
            if each.job is not None and any(job.startswith(each.job) for job in jobs):
                yield each


def _in_folder(folder: Path) -> Iterator[FoundCheckpoint]:
    if not folder.is_dir():
        return
    for depth in range(_DEEPEST + 1):
        for metadata in folder.glob("/".join(["*"] * depth + [METADATA])):
            if metadata.is_file():
                yield _found(metadata)


def _found(metadata: Path) -> FoundCheckpoint:
    folder = metadata.parent.absolute()
    savepoint, job = _SAVEPOINT.fullmatch(folder.name), _JOB.fullmatch(folder.parent.name)
    return FoundCheckpoint(
        path=folder,
        number=checkpoint_number(metadata),
        is_savepoint=_CHECKPOINT.fullmatch(folder.name) is None,
        job=savepoint[1] if savepoint else job[0] if job else None,
        at_ms=metadata.stat().st_mtime_ns // 1_000_000,
    )
