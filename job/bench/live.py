"""A cluster with the job on it whose users have histories already: nothing of it is left afterwards.

The past is applied with scoring off, which is quick; then the job goes on from the checkpoint of that with scoring on.
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
from job.bench.ground import LISTED, Ground
from job.cluster import ClusterSpec, FlinkRest, RunningCluster, stop
from job.deployment.status import counted
from job.replay.files_target import FilesTarget
from job.settings.job_settings import JobSettings, load
from job.trial import WATCHED, end_job, launch, trial_cluster
from model.records import UserBehavior
from model.waiting import counts_up_to, polls
from udfs.flink.metrics import Metric
from udfs.lists.user_list import Policy

PARTITIONS = 4
_STALLED_S = 90.0
_POLL_S = 0.2
_APPENDED = 1_024


class Log(Protocol):
    """A behaviour log that is appended to."""

    def append(self, behaviors: Sequence[UserBehavior]) -> None:
        """Appends in the order given; all are there on return."""


@dataclass(frozen=True, slots=True)
class Live:
    """A running job on its cluster.

    Attributes:
        ground: what it stands on.
        cluster: where it runs.
        rest: the cluster's REST interface.
        job_id: Flink's id.
        tables: where its rows go.
        log: where behaviours are appended.
        settings: the job's.
    """

    ground: Ground
    cluster: RunningCluster
    rest: FlinkRest
    job_id: str
    tables: Path
    log: Log
    settings: JobSettings

    def lists(self) -> int:
        """How many lists were made since the last start; a second old at most."""
        return counted(self.rest, self.rest.job(self.job_id)).total(Metric.LISTS)


@contextmanager
def bench_cluster(ground: Ground, name: str, *, task_managers: int = 1, **config: str) -> Iterator[RunningCluster]:
    """A cluster in a folder of its own, with Flink settings beside the usual ones; it ends with the block."""
    folder = ground.folder / name
    stop(folder / "cluster")
    shutil.rmtree(folder, ignore_errors=True)
    spec = ClusterSpec(folder / "cluster", task_managers=task_managers, extra_config={**WATCHED, **config})
    try:
        with trial_cluster(spec, say=ground.say) as cluster:
            yield cluster
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def scoring_job(
    ground: Ground,
    name: str,
    past: Iterable[UserBehavior],
    waiting: Iterable[UserBehavior] = (),
    overrides: Sequence[str] = (),
) -> Iterator[Live]:
    """The job over an embedded log: it knows the past, and what waits is there to be read when it begins to score.

    Raises:
        BenchError: it did not get through the past.
        ClusterError: the cluster did not start, or the job did not get to run.
        DeployError: Flink did not take the job.
    """
    slots = job_settings(ground, ground.folder / name, overrides).slots
    with bench_cluster(ground, name, task_managers=slots) as cluster, FlinkRest(cluster.rest_url) as rest:
        folder = cluster.directory.parent
        with FilesTarget(folder / "log", PARTITIONS) as log:
            settings = job_settings(ground, folder, overrides)
            live = Live(ground, cluster, rest, "", folder / "tables", log, settings)
            yield fill_and_score(live, past, waiting)


def fill_and_score(live: Live, past: Iterable[UserBehavior], waiting: Iterable[UserBehavior]) -> Live:
    """Applies the past with scoring off, then deploys with scoring on; `live` has all but the job's id."""
    say = live.ground.say
    say("appending the past")
    records = append_all(live.log, past)
    unscored = live.settings.model_copy(
        update={
            "lists": live.settings.lists.model_copy(update={"policy": Policy.HISTORY}),
            "scoring": live.settings.scoring.model_copy(update={"bundle": None}),
        }
    )
    filling = launch(live.cluster, unscored, say=say).job_id
    wait_for_lists(replace(live, job_id=filling), records, "applying the past")
    wait_for_checkpoint(live.rest, filling)
    end_job(live.rest, filling)
    # Not before: the job that fills would read it, unscored.
    say("appending what waits to be read")
    append_all(live.log, waiting)
    scoring = launch(live.cluster, live.settings, fresh=False, say=say)
    if scoring.restored_from is None:
        msg = f"the job began anew instead of going on from what it knew: look at {live.cluster.layout.logs}"
        raise BenchError(msg)
    return replace(live, job_id=scoring.job_id)


def job_settings(ground: Ground, folder: Path, overrides: Sequence[str] = ()) -> JobSettings:
    """The whole job with lists of 20, every table, checkpoints every 2 s; nothing is cached, coalesced or shed."""
    defaults = {
        "job_name": "recloop-bench",
        "log": {"folder": folder / "log", "partitions": PARTITIONS},
        "tables": {"folder": folder / "tables"},
        "scoring": {"bundle": ground.bundle.path},
        "lists": {"length": LISTED},
    }
    return load(defaults=defaults, overrides=[*ground.overrides, *overrides])


def append_all(log: Log, behaviors: Iterable[UserBehavior]) -> int:
    """Appends in batches, and says how many there were."""
    count, left = 0, iter(behaviors)
    while batch := list(islice(left, _APPENDED)):
        log.append(batch)
        count += len(batch)
    return count


def wait_for_checkpoint(rest: FlinkRest, job_id: str) -> str:
    """Waits for a checkpoint that began after now, and says where it is.

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


def wait_for_lists(live: Live, wanted: int, what: str) -> None:
    """Until so many lists were made; every behaviour makes one.

    Raises:
        BenchError: for a minute and a half there was not one more.
    """
    for now in counts_up_to(wanted, live.lists, stalled_s=_STALLED_S, poll_s=_POLL_S):
        live.ground.say(f"{what}: {now:,} of {wanted:,}")
    if now < wanted:
        msg = f"{what} stopped at {now:,} of {wanted:,}: look at {live.cluster.layout.logs}"
        raise BenchError(msg)
