"""The state of the job for the page: what Flink's REST interface and the log's ends say now."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from job.cluster import FlinkRest, find
from job.cluster.checkpoint_records import CheckpointStats
from job.cluster.errors import ClusterError
from job.deployment.status import counted, find_job, lags
from job.settings.job_settings import JobSettings
from model.errors import RecloopError
from udfs.flink.metrics import Metric

_CHECKPOINTS = 60
_COMPLETED = "COMPLETED"


class JobState(StrEnum):
    """The state of the job, in the page's words."""

    RUNNING = "running"
    RECOVERING = "recovering"
    """Flink restarts it, or not all of its tasks run."""
    ENDED = "ended"
    MISSING = "missing"
    """The cluster answers and has no such job, or there is no cluster."""
    SILENT = "silent"
    """The cluster does not answer."""


@dataclass(frozen=True, slots=True)
class JobPlaces:
    """The places where the job is looked for.

    Attributes:
        cluster: the local cluster's state folder.
        jobmanager: the URL of a cluster elsewhere; None looks into `cluster`.
        job_name: the job's name.
    """

    cluster: Path
    jobmanager: str | None
    job_name: str


@dataclass(frozen=True, slots=True)
class CheckpointView:
    """A complete checkpoint: when, how long it took, and the size of the state it holds."""

    at: int
    duration_ms: int
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """The state of the job.

    Attributes:
        state: the state.
        sentence: the state in a sentence that says what to do, where there is something to do.
        lag: records of the log that are not read yet; None where that is not known.
        restarts: the number of times that Flink restarted it.
        last_failure: the newest failure's cause, or None.
        dead_letters: records that were no behaviour, since the job's last start.
        fallbacks: lists without scores, since the job's last start.
        failed_checkpoints: the number of checkpoints that failed.
        checkpoints: complete ones, the oldest first.
    """

    state: JobState
    sentence: str
    lag: int | None = None
    restarts: int = 0
    last_failure: str | None = None
    dead_letters: int = 0
    fallbacks: int = 0
    failed_checkpoints: int = 0
    checkpoints: tuple[CheckpointView, ...] = ()


def read_job(places: JobPlaces, settings: JobSettings) -> JobView:
    """Return the state of the job now; whatever fails is part of the answer. It blocks for some requests.

    Args:
        places: where the job is looked for.
        settings: name the log.
    """
    try:
        url = places.jobmanager or _local_url(places.cluster)
        if url is None:
            return JobView(state=JobState.MISSING, sentence="No cluster runs here: recloop cluster start, then deploy.")
        with FlinkRest(url) as rest:
            return _read(rest, places.job_name, settings)
    except RecloopError as error:
        return JobView(state=JobState.SILENT, sentence=f"The cluster does not answer: {error}")


def _local_url(cluster: Path) -> str | None:
    try:
        running = find(cluster)
    except ClusterError:
        return None
    return None if running is None else running.rest_url


def _read(rest: FlinkRest, job_name: str, settings: JobSettings) -> JobView:
    summary = find_job(rest, job_name)
    if summary is None:
        sentence = f"The cluster runs no job named {job_name}: recloop deploy."
        return JobView(state=JobState.MISSING, sentence=sentence)
    job = rest.job(summary.job_id)
    if job.is_over:
        return JobView(
            state=JobState.ENDED, sentence=f"The job is {job.state.lower()}: recloop deploy starts it again."
        )
    counts = counted(rest, job)
    partitions, _ = lags(settings, counts.next_offsets)
    checkpoints = rest.checkpoints(job.job_id)
    failures = rest.exceptions(job.job_id)
    wanted = sum(vertex.parallelism for vertex in job.vertices)
    running = sum(vertex.tasks.get("RUNNING", 0) for vertex in job.vertices)
    whole = job.state == "RUNNING" and running == wanted
    sentence = "The job runs." if whole else f"The job is coming back: {running} of {wanted} tasks run."
    return JobView(
        state=JobState.RUNNING if whole else JobState.RECOVERING,
        sentence=sentence,
        lag=sum(each.lag for each in partitions) if partitions else None,
        restarts=int(rest.job_metrics(job.job_id, "numRestarts").get("numRestarts", "0")),
        last_failure=failures[0].root_cause if failures else None,
        dead_letters=counts.total(Metric.DEAD_LETTERS),
        fallbacks=counts.total(Metric.FALLBACKS),
        failed_checkpoints=checkpoints.failed,
        checkpoints=_views(checkpoints),
    )


def _views(stats: CheckpointStats) -> tuple[CheckpointView, ...]:
    complete = [each for each in stats.history if each.status == _COMPLETED][:_CHECKPOINTS]
    return tuple(
        CheckpointView(each.completed_ms, each.duration_ms, each.size_bytes)
        for each in sorted(complete, key=lambda each: each.completed_ms)
    )
