"""The counts with which a job goes on where the one before it stopped: its places in the log."""

from collections.abc import Mapping
from dataclasses import dataclass

from job.cluster import FlinkRest
from job.deployment.status import fresh_counts
from job.deployment.submission import DeployError
from model.waiting import polls

_REPORTED_S = 60.0
"""The time in which every partition is polled for the first time, also on a busy machine."""
_POLL_S = 0.2

Offsets = Mapping[int, int]
"""Partition -> the offset that is read next."""


@dataclass(frozen=True, slots=True)
class Continuation:
    """The places in the log before and after a job was replaced.

    Attributes:
        partitions: the number of partitions that the job before had read from.
        before: the sum of their offsets, read shortly before it stopped.
        after: the same of the new job.
    """

    partitions: int
    before: int
    after: int


def read_offsets(rest: FlinkRest, job_id: str) -> dict[int, int]:
    """Return the offset that a running job reads next in each partition, as far as it has reported any."""
    return fresh_counts(rest, job_id).next_offsets


def continuation(rest: FlinkRest, job_id: str, before: Offsets) -> Continuation:
    """Wait until the new job has reported its place in each partition, and compare.

    Raises:
        DeployError: it reads a partition from before the place that the old job had reached, or does not read it.
    """
    after: Offsets = {}
    for _ in polls(timeout_s=_REPORTED_S, poll_s=_POLL_S):
        after = read_offsets(rest, job_id)
        if before.keys() <= after.keys():
            break
    behind = [partition for partition, offset in before.items() if after.get(partition, 0) < offset]
    if behind:
        place = ", ".join(f"{each} at {after.get(each, 'none')}, not {before[each]:,}" for each in behind)
        msg = (
            f"the new job {job_id} runs, and does not go on where the old one stopped in the log (partition {place}): "
            "recloop rollback brings the old one back"
        )
        raise DeployError(msg)
    return Continuation(len(before), sum(before.values()), sum(after[partition] for partition in before))
