"""A deployment killed with -9 at any of its steps, on a real cluster: the next one goes on, and nothing is lost."""

import json
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from job.cluster import FlinkRest, RefusedError, RunningCluster
from job.deployment.deploy import STEPS, DeployRequest, Target, deploy
from job.replay.log_writer import LogWriter
from job.settings.job_settings import load
from job.tables import duck
from model.records import UserBehavior
from tests.job.waiting import wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(3600)]
USERS = 20


def append(log: Path, item: int) -> None:
    with LogWriter(log) as writer:
        writer.append([UserBehavior(f"user-{n}", "click", str(item), 1_000 + item) for n in range(USERS)])


def test_killed_at_every_step_the_next_goes_on_with_all_that_came_between(
    cluster: RunningCluster, tmp_path: Path
) -> None:
    log, tables = tmp_path / "log", tmp_path / "tables"
    settings = [
        "job_name=killed",
        "lists.policy=history",
        f"log.folder={json.dumps(str(log))}",
        f"tables.folder={json.dumps(str(tables))}",
    ]
    request = DeployRequest(target=Target.local(cluster), settings=load(overrides=settings))
    last = deploy(request)
    item = 0
    for step in STEPS:
        append(log, item := item + 1)
        command = [sys.executable, "-m", "tests.job.deploy_and_die", str(cluster.directory), step, *settings]
        killed = subprocess.run(command, timeout=900, check=False)
        assert killed.returncode == -signal.SIGKILL, step
        append(log, item := item + 1)
        last = deploy(request)
        assert last.restored_from is not None, step
    append(log, item := item + 1)

    def applied() -> list[tuple[object, ...]]:
        sql = "SELECT user_seq, count(*) FROM user_behavior WHERE outcome = 'applied' GROUP BY ALL ORDER BY 1"
        return list(duck.query(tables, sql).rows)

    wait_until(lambda: len(applied()) >= item, timeout_s=120, what=f"{item} behaviours of each user")
    assert applied() == [(seq, USERS) for seq in range(1, item + 1)]
    with FlinkRest(cluster.rest_url) as rest:
        (running,) = [job for job in rest.jobs() if job.name == "killed" and job.state == "RUNNING"]
        assert running.job_id == last.job_id
        with suppress(RefusedError):
            rest.cancel(last.job_id)
        rest.wait_for_job(last.job_id, lambda job: job.is_over, timeout_s=60)
