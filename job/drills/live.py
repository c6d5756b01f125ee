"""A cluster with the job on it for one run; both are stopped afterwards."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

from job.cluster import ClusterSpec, FlinkRest, RunningCluster
from job.cluster.running import Progress
from job.drills.collect import read_checkpoints
from job.drills.drill_log import Scale
from job.drills.errors import DrillError
from job.drills.faults import RunningJob
from job.drills.uncommitted import uncommitted_behaviors
from job.settings.groups import FlinkSettings, LogSettings, ScoringSettings, TableSettings
from job.settings.job_settings import JobSettings
from job.trial import WATCHED, accounted, launch, trial_cluster
from model.waiting import counts_up_to, wait_until

_CHECKPOINT_INTERVAL = timedelta(seconds=1)
_MOMENT_S = 90.0
_PATIENCE_S = 60.0
_WARM_CHECKPOINTS = 2
_IN_FLIGHT = 50
_POLL_S = 0.05
_TABLES_POLL_S = 1.0


@dataclass(frozen=True, slots=True)
class Setup:
    """The setup that all runs of a drill share.

    Attributes:
        scale: the sizes of the drill.
        log: the finished log; each run gets a copy of it.
        records: the number of records in it.
        bundle: the folder of the bundle.
    """

    scale: Scale
    log: Path
    records: int
    bundle: Path


@dataclass(frozen=True, slots=True)
class Live:
    """A running job on its cluster."""

    cluster: RunningCluster
    job: RunningJob
    report: Progress


@contextmanager
def live_job(setup: Setup, folder: Path, report: Progress) -> Iterator[Live]:
    """Deploy the job over FOLDER/log on a new cluster in FOLDER/cluster; stop both after the block.

    Raises:
        ClusterError: the cluster did not start, or the job did not run.
        DeployError: Flink refused the job.
    """
    spec = ClusterSpec(folder / "cluster", task_managers=setup.scale.parallelism, extra_config=WATCHED)
    with trial_cluster(spec, report=report) as cluster, FlinkRest(cluster.rest_url) as rest:
        settings = JobSettings(  # of a replayable job, so that runs can be compared; none are from the environment
            job_name="recloop-drill",
            preset="replayable",
            log=LogSettings(folder=folder / "log", partitions=setup.scale.partitions),
            scoring=ScoringSettings(bundle=setup.bundle),
            tables=TableSettings(folder=folder / "tables"),
            flink=FlinkSettings(parallelism=setup.scale.parallelism, checkpoint_interval=_CHECKPOINT_INTERVAL),
        )
        deployed = launch(cluster, settings, report=report)
        yield Live(cluster, RunningJob(rest, deployed.job_id, folder / "log", folder / "tables"), report)


def wait_for_moment(live: Live) -> None:
    """Wait until two checkpoints are complete, and rows are written that no checkpoint covers.

    Raises:
        DrillError: that did not happen in time.
    """
    live.report("waiting for checkpoints, and for rows after them")
    if not wait_until(lambda: _is_amid_work(live.job), timeout_s=_MOMENT_S, poll_s=_POLL_S):
        msg = f"no moment for a fault in {_MOMENT_S:g} s: look at {live.cluster.layout.logs}"
        raise DrillError(msg)


def settle(live: Live, records: int) -> bool:
    """Wait until the tables account for all records of the log, and then for two more checkpoints.

    Rows that these two commit are judged as well.

    Returns:
        True once that is reached; False if the job ended, or nothing changed for a minute.
    """
    there = partial(accounted, live.job.tables)
    for seen in counts_up_to(records, there, stalled_s=_PATIENCE_S, poll_s=_TABLES_POLL_S):
        live.report(f"{seen:,} of {records:,} records in the tables")
        if seen < records and live.job.rest.job(live.job.job_id).is_over:
            return False
    if seen < records:
        return False
    live.report("waiting for two more checkpoints")
    wanted = _completed(live.job) + 2
    return wait_until(lambda: _completed(live.job) >= wanted, timeout_s=_PATIENCE_S, poll_s=_POLL_S)


def _completed(job: RunningJob) -> int:
    return job.rest.checkpoints(job.job_id).completed


def _is_amid_work(job: RunningJob) -> bool:
    completed, _ = read_checkpoints(job.rest, job.job_id)
    if len(completed) < _WARM_CHECKPOINTS:
        return False
    newest_ms = max(each.completed_ms for each in completed)
    return sum(row.written_at > newest_ms for row in uncommitted_behaviors(job.tables)) >= _IN_FLIGHT
