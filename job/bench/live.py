"""A temporary cluster with the job on it, whose users have histories already.

The past is applied with scoring off, which is quick; then the job continues from that checkpoint with scoring on.
"""

import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Protocol

from job.bench.errors import BenchError
from job.bench.workload import LISTED, Workload
from job.cluster import ClusterSpec, FlinkRest, RunningCluster, stop
from job.deployment.status import counted
from job.replay.files_target import FilesTarget
from job.settings.job_settings import JobSettings, load
from job.trial import WATCHED, end_job, launch, trial_cluster
from model.records import UserBehavior
from model.waiting import counts_up_to, polls
from udfs.flink.metrics import Metric
from udfs.lists.list_rules import Policy

PARTITIONS = 4
_STALLED_S = 90.0
_POLL_S = 0.2
_APPENDED = 1_024


class Log(Protocol):
    """A behaviour log to append to."""

    def append(self, behaviors: Sequence[UserBehavior]) -> None:
        """Append in the order given; all behaviours are in the log on return."""


@dataclass(frozen=True, slots=True)
class Live:
    """A running job on its cluster.

    Attributes:
        workload: the behaviours and the model that it is measured with.
        cluster: the cluster it runs on.
        rest: the cluster's REST interface.
        job_id: Flink's id of the job.
        tables: the folder of its tables.
        log: its behaviour log.
        settings: the job's settings.
    """

    workload: Workload
    cluster: RunningCluster
    rest: FlinkRest
    job_id: str
    tables: Path
    log: Log
    settings: JobSettings

    def lists(self) -> int:
        """Return how many lists were made since the last start; a second old at most."""
        return counted(self.rest, self.rest.job(self.job_id)).total(Metric.LISTS)


@contextmanager
def bench_cluster(workload: Workload, name: str, *, task_managers: int = 1, **config: str) -> Iterator[RunningCluster]:
    """Start a cluster in its own folder, with additional Flink settings; stop and remove it after the block."""
    folder = workload.folder / name
    stop(folder / "cluster")
    shutil.rmtree(folder, ignore_errors=True)
    spec = ClusterSpec(folder / "cluster", task_managers=task_managers, extra_config={**WATCHED, **config})
    try:
        with trial_cluster(spec, report=workload.report) as cluster:
            yield cluster
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def scoring_job(
    workload: Workload,
    name: str,
    past: Iterable[UserBehavior],
    waiting: Iterable[UserBehavior] = (),
    overrides: Sequence[str] = (),
) -> Iterator[Live]:
    """Run the job over an embedded log: it has applied the past, and `waiting` is in the log when it begins to score.

    Raises:
        BenchError: the job did not get through the past.
        ClusterError: the cluster did not start, or the job did not run.
        DeployError: Flink refused the job.
    """
    slots = job_settings(workload, workload.folder / name, overrides).slots
    with bench_cluster(workload, name, task_managers=slots) as cluster, FlinkRest(cluster.rest_url) as rest:
        folder = cluster.directory.parent
        with FilesTarget(folder / "log", PARTITIONS) as log:
            settings = job_settings(workload, folder, overrides)
            live = Live(workload, cluster, rest, "", folder / "tables", log, settings)
            yield fill_and_score(live, past, waiting)


def fill_and_score(live: Live, past: Iterable[UserBehavior], waiting: Iterable[UserBehavior]) -> Live:
    """Apply the past with scoring off, then deploy with scoring on; `live` has all fields but the job's id."""
    report = live.workload.report
    report("appending the past")
    records = append_all(live.log, past)
    unscored = live.settings.model_copy(
        update={
            "lists": live.settings.lists.model_copy(update={"policy": Policy.HISTORY}),
            "scoring": live.settings.scoring.model_copy(update={"bundle": None}),
        }
    )
    filling = launch(live.cluster, unscored, report=report).job_id
    wait_for_lists(replace(live, job_id=filling), records, "applying the past")
    wait_for_checkpoint(live.rest, filling)
    end_job(live.rest, filling)
    # Only now: the job that applies the past would read it without scoring.
    report("appending what waits to be read")
    append_all(live.log, waiting)
    scoring = launch(live.cluster, live.settings, fresh=False, report=report)
    if scoring.restored_from is None:
        msg = f"the job began anew instead of going on from what it knew: look at {live.cluster.layout.logs}"
        raise BenchError(msg)
    return replace(live, job_id=scoring.job_id)


def job_settings(workload: Workload, folder: Path, overrides: Sequence[str] = ()) -> JobSettings:
    """Return settings of the whole job with lists of 20 and every table.

    Checkpoints are every 2 s; nothing is cached, coalesced or shed.
    """
    defaults = {
        "job_name": "recloop-bench",
        "log": {"folder": folder / "log", "partitions": PARTITIONS},
        "tables": {"folder": folder / "tables"},
        "scoring": {"bundle": workload.bundle.path},
        "lists": {"length": LISTED},
    }
    return load(defaults=defaults, overrides=[*workload.overrides, *overrides])


def append_all(log: Log, behaviors: Iterable[UserBehavior]) -> int:
    """Append in batches, and return the number of behaviours."""
    count, left = 0, iter(behaviors)
    while batch := list(islice(left, _APPENDED)):
        log.append(batch)
        count += len(batch)
    return count


def wait_for_checkpoint(rest: FlinkRest, job_id: str) -> str:
    """Wait for a checkpoint that was triggered after this call, and return its path.

    Raises:
        BenchError: there was none in a minute and a half.
    """
    now_ms = time.time() * 1000
    for _ in polls(timeout_s=_STALLED_S, poll_s=_POLL_S):
        newest = rest.checkpoints(job_id).latest
        if newest is not None and newest.path and newest.trigger_ms > now_ms:
            return newest.path
    msg = f"no checkpoint was completed in {_STALLED_S:g} s"
    raise BenchError(msg)


def wait_for_lists(live: Live, wanted: int, name: str) -> None:
    """Wait until so many lists were made; every behaviour makes one.

    Raises:
        BenchError: no list was added for a minute and a half.
    """
    for now in counts_up_to(wanted, live.lists, stalled_s=_STALLED_S, poll_s=_POLL_S):
        live.workload.report(f"{name}: {now:,} of {wanted:,}")
    if now < wanted:
        msg = f"{name} stopped at {now:,} of {wanted:,}: look at {live.cluster.layout.logs}"
        raise BenchError(msg)
