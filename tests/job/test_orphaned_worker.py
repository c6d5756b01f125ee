"""A Python worker whose JVM was killed with -9 stops by itself, where nobody else ends it."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from job.cluster import FlinkRest, RunningCluster
from job.replay.log_writer import LogWriter
from model import waiting
from model.records import UserBehavior
from tests.job.fixtures import Deploy
from tests.job.test_killed_worker import workers

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

SOON_S = 2.0


def test_a_worker_without_its_jvm_stops_within_two_seconds(run_job: Deploy, tmp_path: Path) -> None:
    log = tmp_path / "log"
    run = run_job(log)
    with LogWriter(log) as writer:
        writer.append([UserBehavior(f"user-{n}", "click", str(n + 1), 1_000 + n) for n in range(50)])
    run.wait_for_offsets(50, timeout_s=60)
    orphans = [psutil.Process(worker) for worker in workers(run.cluster)]
    with jvm_killed_alone(run.cluster, orphans[0]):
        assert still_there(orphans, SOON_S) == []
    with FlinkRest(run.cluster.rest_url) as rest:
        rest.wait_until_running(run.deployment.job_id, timeout_s=120)


@contextmanager
def jvm_killed_alone(cluster: RunningCluster, worker: psutil.Process) -> Iterator[None]:
    """Kills the JVM that a worker belongs to, while the supervisor, which would end the rest, is held."""
    jvm = psutil.Process(os.getpgid(worker.pid))
    os.kill(cluster.supervisor_pid, signal.SIGSTOP)
    try:
        jvm.kill()
        yield
    finally:
        os.kill(cluster.supervisor_pid, signal.SIGCONT)


def still_there(processes: list[psutil.Process], timeout_s: float) -> list[psutil.Process]:
    """Those that live when the time is over; returns as soon as none does."""
    waiting.wait_until(lambda: not any(map(lives, processes)), timeout_s=timeout_s, poll_s=0.02)
    return [each for each in processes if lives(each)]


def lives(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
