"""The status of a running job: state, rate, last checkpoint, restarts, and its lag behind the log."""

import re
import time
from collections import Counter
from dataclasses import dataclass

from job.cluster import FlinkRest
from job.cluster.records import JobDetail, JobSummary
from job.deployment.behavior_log import ends
from job.deployment.freshness import percentile
from job.deployment.model_status import ModelStatus, read_models
from job.kafka.errors import KafkaToolError
from job.settings.job_settings import JobSettings
from udfs.errors import LogError
from udfs.flink.metrics import Metric, MetricKind

_SAMPLE_S = 2.0
_FETCH_S = 1.1
"""Flink fetches metrics at most once a second."""
_REASON = re.compile(r"\.reason\.(\w+)\.fallbacks$")
_FRESHNESS = re.compile(r"\.le\.([\w+]+)\.freshness_ms$")
_PARTITION = re.compile(r"\.partition\.(\d+)\.next_offset$")


@dataclass(frozen=True, slots=True)
class PartitionLag:
    """The position of the job in a partition of the log.

    Attributes:
        partition: the number of the partition.
        next_offset: the offset the job reads next; None while it has not reported one.
        end_offset: the offset that the partition's next record gets.
    """

    partition: int
    next_offset: int | None
    end_offset: int

    @property
    def lag(self) -> int:
        """The number of records not read yet."""
        return self.end_offset - (self.next_offset or 0)


@dataclass(frozen=True, slots=True)
class JobStatus:
    """The report of `recloop status`.

    Attributes:
        job_id: Flink's id.
        name: the job's name.
        state: Flink's word for it.
        running_s: seconds since it was submitted.
        tasks: "running/all".
        lists_per_s: lists made a second, over the last two seconds.
        freshness_p50_ms: time from a behaviour's append to its list, over the same seconds; None if none was measured.
        freshness_p95_ms: the same.
        scored: histories that a model scored, since the last start.
        stepped: those of them scored by one step from a kept state.
        cached: those of them answered from the score cache.
        fallbacks: behaviours that went on without scores since the last start.
        fallback_reasons: reason (`udfs.elements.FallbackReason`) -> number of fallbacks; the most
            frequent first.
        dead_letters: records that were no behaviour since the last start.
        offsets_gone: offsets removed before they were read, and stepped over, since the last start.
        restarts: the number of times that Flink restarted it.
        last_failure: the newest failure's cause, or None.
        checkpoint_age_s: seconds since the newest complete checkpoint was triggered, or None.
        checkpoint_ms: the duration of that checkpoint, or None.
        checkpoint_bytes: the size of the state that it holds, or None.
        checkpoints_failed: the number of failed checkpoints.
        log_silent_s: seconds for which the log's brokers have not answered the job; 0 while they do.
        swaps: models that replaced another at a scorer, since the last start.
        swap_failures: models that did not load at one, and left it with the model before.
        models: the served models.
        log_problem: the reason why `partitions` is empty, or None.
        partitions: the log, partition by partition.
    """

    job_id: str
    name: str
    state: str
    running_s: float
    tasks: str
    lists_per_s: float
    freshness_p50_ms: float | None
    freshness_p95_ms: float | None
    scored: int
    stepped: int
    cached: int
    fallbacks: int
    fallback_reasons: dict[str, int]
    dead_letters: int
    offsets_gone: int
    restarts: int
    last_failure: str | None
    checkpoint_age_s: float | None
    checkpoint_ms: int | None
    checkpoint_bytes: int | None
    checkpoints_failed: int
    log_silent_s: float
    swaps: int
    swap_failures: int
    models: ModelStatus
    log_problem: str | None
    partitions: list[PartitionLag]

    @property
    def lag(self) -> int:
        """The number of records of the whole log not read yet."""
        return sum(partition.lag for partition in self.partitions)


def find_job(rest: FlinkRest, name: str) -> JobSummary | None:
    """Return the newest job of that name in any state, or None."""
    return next((job for job in rest.jobs() if job.name == name), None)


def read_status(
    rest: FlinkRest, job_id: str, settings: JobSettings | None, *, sample_s: float = _SAMPLE_S
) -> JobStatus:
    """Read the job's metrics twice, `sample_s` apart, for the rate, and the ends of the log that the settings name."""
    before = fresh_counts(rest, job_id)
    began = time.monotonic()
    time.sleep(sample_s)
    sample = Sample(before, fresh_counts(rest, job_id), time.monotonic() - began)
    return status_of(rest, job_id, settings, sample, read_models(settings))


def status_of(
    rest: FlinkRest, job_id: str, settings: JobSettings | None, sample: "Sample", models: ModelStatus
) -> JobStatus:
    """Return the status of a job of which a sample was taken, and whose models were read."""
    before, counts = sample.before, sample.after
    job = rest.job(job_id)
    running = sum(vertex.tasks.get("RUNNING", 0) for vertex in job.vertices)
    checkpoints = rest.checkpoints(job_id)
    newest = checkpoints.latest
    failures = rest.exceptions(job_id)
    lists = counts.total(Metric.LISTS) - before.total(Metric.LISTS)
    partitions, problem = lags(settings, counts.next_offsets)
    restarts = rest.job_metrics(job_id, "numRestarts").get("numRestarts", "0")
    return JobStatus(
        job_id=job_id,
        name=job.name,
        state=job.state,
        running_s=job.duration_ms / 1000,
        tasks=f"{running}/{sum(vertex.parallelism for vertex in job.vertices)}",
        lists_per_s=max(0.0, lists / sample.seconds),
        freshness_p50_ms=percentile(before.freshness, counts.freshness, 0.50),
        freshness_p95_ms=percentile(before.freshness, counts.freshness, 0.95),
        scored=counts.total(Metric.HISTORIES_SCORED),
        stepped=counts.total(Metric.HISTORIES_STEPPED),
        cached=counts.total(Metric.SCORE_CACHE_HITS),
        fallbacks=counts.total(Metric.FALLBACKS),
        fallback_reasons=dict(sorted(counts.fallback_reasons.items(), key=lambda counted: -counted[1])),
        dead_letters=counts.total(Metric.DEAD_LETTERS),
        offsets_gone=counts.total(Metric.OFFSETS_GONE),
        restarts=int(restarts),
        last_failure=failures[0].root_cause if failures else None,
        checkpoint_age_s=time.time() - newest.trigger_ms / 1000 if newest else None,
        checkpoint_ms=newest.duration_ms if newest else None,
        checkpoint_bytes=newest.size_bytes if newest else None,
        checkpoints_failed=checkpoints.failed,
        log_silent_s=counts.total(Metric.LOG_SILENT_MS) / 1000,
        swaps=counts.total(Metric.SWAPS),
        swap_failures=counts.total(Metric.SWAP_FAILURES),
        models=models,
        log_problem=problem,
        partitions=partitions,
    )


@dataclass(frozen=True, slots=True)
class Counts:
    """The job's own metrics, over all subtasks.

    Attributes:
        totals: metric -> count since the last start; of a level the highest.
        next_offsets: log partition -> the offset that is read next.
        fallback_reasons: reason -> number of fallbacks, without zeros.
        freshness: bound -> lists whose freshness does not exceed it; the last bound, infinity, holds all.
    """

    totals: dict[str, int]
    next_offsets: dict[int, int]
    fallback_reasons: dict[str, int]
    freshness: dict[float, int]

    def total(self, metric: Metric) -> int:
        """Return the total of a metric; 0 if nothing was reported yet."""
        return self.totals.get(metric.value, 0)


@dataclass(frozen=True, slots=True)
class Sample:
    """The job's own metrics at two times, and the seconds between them."""

    before: Counts
    after: Counts
    seconds: float


def fresh_counts(rest: FlinkRest, job_id: str) -> Counts:
    """Return the job's metrics as they are now.

    Flink answers with the values fetched after the previous request, so the first answer is thrown away.
    """
    job = rest.job(job_id)
    counted(rest, job)
    time.sleep(_FETCH_S)
    return counted(rest, job)


def counted(rest: FlinkRest, job: JobDetail) -> Counts:
    """Read the job's own metrics from all vertices that have any."""
    wanted = {metric.value: metric for metric in Metric if metric is not Metric.LISTS_BY_MODEL}
    totals: dict[str, int] = {}
    offsets: dict[int, int] = {}
    reasons: Counter[str] = Counter()
    freshness: Counter[float] = Counter()
    for vertex in job.vertices:
        known = rest.vertex_metric_names(job.job_id, vertex.vertex_id)
        names = [name for name in known if name.rpartition(".")[2] in wanted]
        if not names:
            continue
        for name, value in rest.vertex_counts(job.job_id, vertex.vertex_id, *names).items():
            if partition := _PARTITION.search(name):
                offsets[int(partition.group(1))] = value
            elif bound := _FRESHNESS.search(name):
                freshness[float(bound.group(1))] += value
            else:
                if reason := _REASON.search(name):
                    reasons[reason.group(1)] += value
                metric = name.rpartition(".")[2]
                before = totals.get(metric, 0)
                is_level = wanted[metric].kind is MetricKind.LEVEL
                totals[metric] = max(before, value) if is_level else before + value
    return Counts(totals, offsets, dict(+reasons), dict(sorted(freshness.items())))


def lags(settings: JobSettings | None, next_offsets: dict[int, int]) -> tuple[list[PartitionLag], str | None]:
    """Return each partition of the log with the offset that is read next; or the reason why that is unknown."""
    if settings is None:
        return [], "nothing is known here of how the job was deployed"
    try:
        found = ends(settings)
    except (LogError, KafkaToolError) as error:
        return [], str(error)
    return [PartitionLag(partition, next_offsets.get(partition), end) for partition, end in found.items()], None
