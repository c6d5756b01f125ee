"""A Python worker killed with -9: Flink restores the job, and no behaviour is lost or counted twice."""

import os
import signal
from pathlib import Path

import psutil
import pytest

from job.cluster import FlinkRest, RunningCluster
from job.drills.footprint import kind_of
from job.replay.log_writer import LogWriter
from model.records import UserBehavior
from tests.job.fixtures import Deploy
from tests.job.waiting import wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.slow]


def test_a_killed_worker_costs_nothing(run_job: Deploy, tmp_path: Path) -> None:
    log = tmp_path / "log"
    run = run_job(log)
    with LogWriter(log) as writer:
        writer.append([UserBehavior(f"user-{n % 50}", "click", str(n % 90 + 1), 1_000 + n) for n in range(500)])
        run.wait_for_offsets(500, timeout_s=60)

        for worker in workers(run.cluster):
            os.kill(worker, signal.SIGKILL)
        writer.append([UserBehavior(f"user-{n % 50}", "click", str(n % 90 + 1), 9_000 + n) for n in range(500)])

        with FlinkRest(run.cluster.rest_url) as rest:
            wait_until(lambda: rest.checkpoints(run.deployment.job_id).restored > 0, timeout_s=60, what="a restore")
        run.wait_for_offsets(1_000, timeout_s=90)
    assert run.count("user_behavior_all", "outcome = 'applied'") == run.count("recommendation_lists_all") == 1_000


def workers(cluster: RunningCluster) -> list[int]:
    groups = {each.pgid for each in cluster.task_managers()}
    found = [
        process.pid
        for process in psutil.process_iter()
        if process.status() != psutil.STATUS_ZOMBIE
        and os.getpgid(process.pid) in groups
        and kind_of(process.cmdline()) == "Python worker"
    ]
    assert found, "score-candidates has a worker"
    return found
