"""How a running job does: state, rate, last checkpoint, restarts, and how far it is behind the log."""

import re
import time
from dataclasses import dataclass
from pathlib import Path

from job.cluster import FlinkRest
from job.cluster.records import JobDetail, JobSummary
from job.log_writer import count_lines
from udfs.file_log import FileLogReader, partition_file
from udfs.metrics import Metric

_SAMPLE_S = 2.0
_FETCH_S = 1.1
"""Flink fetches metrics at most once a second."""
_PARTITION = re.compile(r"\.partition\.(\d+)\.next_offset$")


@dataclass(frozen=True, slots=True)
class PartitionLag:
    """One partition of the log.

    Attributes:
        partition: its number.
        next_offset: the offset the job reads next; None while it did not say.
        end_offset: how many records the partition holds.
    """

    partition: int
    next_offset: int | None
    end_offset: int

    @property
    def lag(self) -> int:
        """Records not read yet."""
        return self.end_offset - (self.next_offset or 0)


@dataclass(frozen=True, slots=True)
class JobStatus:
    """What `recloop status` tells.

    Attributes:
        job_id: Flink's id.
        name: the job's name.
        state: Flink's word for it.
        running_s: seconds since it was submitted.
        tasks: "running/all".
        lists_per_s: lists made a second, over the last two seconds.
        fallbacks: behaviours that went on without scores since the last start.
        dead_letters: records that were no behaviour since the last start.
        restarts: how often Flink restarted it.
        last_failure: the newest failure's cause, or None.
        checkpoint_age_s: seconds since the newest complete checkpoint was triggered, or None.
        checkpoint_ms: how long that took.
        checkpoint_bytes: how much state it holds.
        checkpoints_failed: how many failed.
        partitions: the log, partition by partition.
    """

    job_id: str
    name: str
    state: str
    running_s: float
    tasks: str
    lists_per_s: float
    fallbacks: int
    dead_letters: int
    restarts: int
    last_failure: str | None
    checkpoint_age_s: float | None
    checkpoint_ms: int | None
    checkpoint_bytes: int | None
    checkpoints_failed: int
    partitions: list[PartitionLag]

    @property
    def lag(self) -> int:
        """Records of the whole log not read yet."""
        return sum(partition.lag for partition in self.partitions)


def find_job(rest: FlinkRest, name: str) -> JobSummary | None:
    """The newest job of that name, whatever its state."""
    return next((job for job in rest.jobs() if job.name == name), None)


def read_status(rest: FlinkRest, job_id: str, log: Path | None, *, sample_s: float = _SAMPLE_S) -> JobStatus:
    """Asks Flink, twice within `sample_s` for the rate, and looks at the log's files."""
    before = fresh_counts(rest, job_id)
    began = time.monotonic()
    time.sleep(sample_s)
    counts = fresh_counts(rest, job_id)
    seconds = time.monotonic() - began
    job = rest.job(job_id)
    checkpoints = rest.checkpoints(job_id)
    newest = checkpoints.latest
    failures = rest.exceptions(job_id)
    lists = counts.total(Metric.LISTS) - before.total(Metric.LISTS)
    restarts = rest.job_metrics(job_id, "numRestarts").get("numRestarts", "0")
    return JobStatus(
        job_id=job_id,
        name=job.name,
        state=job.state,
        running_s=job.duration_ms / 1000,
        tasks=_tasks(job),
        lists_per_s=max(0.0, lists / seconds),
        fallbacks=counts.total(Metric.FALLBACKS),
        dead_letters=counts.total(Metric.DEAD_LETTERS),
        restarts=int(restarts),
        last_failure=failures[0].root_cause if failures else None,
        checkpoint_age_s=time.time() - newest.trigger_ms / 1000 if newest else None,
        checkpoint_ms=newest.duration_ms if newest else None,
        checkpoint_bytes=newest.size_bytes if newest else None,
        checkpoints_failed=checkpoints.failed,
        partitions=[] if log is None else lags(log, counts.next_offsets),
    )


@dataclass(frozen=True, slots=True)
class Counts:
    """The job's own metrics, summed over subtasks.

    Attributes:
        totals: metric -> count since the last start.
        next_offsets: log partition -> the offset that is read next.
    """

    totals: dict[str, int]
    next_offsets: dict[int, int]

    def total(self, metric: Metric) -> int:
        """0 where nothing was reported yet."""
        return self.totals.get(metric.value, 0)


def fresh_counts(rest: FlinkRest, job_id: str) -> Counts:
    """The job's metrics as they are now.

    Flink answers with what it fetched after the question before, so the first answer is thrown away.
    """
    job = rest.job(job_id)
    counted(rest, job)
    time.sleep(_FETCH_S)
    return counted(rest, job)


def counted(rest: FlinkRest, job: JobDetail) -> Counts:
    """Reads the metrics of all vertices that have some of ours."""
    totals: dict[str, int] = {}
    offsets: dict[int, int] = {}
    wanted = {metric.value for metric in Metric}
    for vertex in job.vertices:
        path = f"/jobs/{job.job_id}/vertices/{vertex.vertex_id}/metrics"
        names = [each["id"] for each in rest.get(path) if each["id"].rpartition(".")[2] in wanted]
        if not names:
            continue
        for name, value in rest.vertex_metrics(job.job_id, vertex.vertex_id, *names).items():
            if partition := _PARTITION.search(name):
                offsets[int(partition.group(1))] = int(value)
            else:
                metric = name.rpartition(".")[2]
                totals[metric] = totals.get(metric, 0) + int(value)
    return Counts(totals, offsets)


def lags(log: Path, next_offsets: dict[int, int]) -> list[PartitionLag]:
    """Each partition of the embedded log beside what was read of it."""
    reader = FileLogReader(log)
    return [
        PartitionLag(partition, next_offsets.get(partition), count_lines(partition_file(log, partition)))
        for partition in range(reader.partitions())
    ]


def _tasks(job: JobDetail) -> str:
    running = sum(vertex.tasks.get("RUNNING", 0) for vertex in job.vertices)
    return f"{running}/{sum(vertex.parallelism for vertex in job.vertices)}"
