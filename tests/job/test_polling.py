"""The log is polled as often after restores and a savepoint as before: arming a poll again changes nothing."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from job.cluster import FlinkRest
from job.deployment.status import fresh_counts
from job.replay.log_writer import create_log
from tests.job.fixtures import Deploy, Run
from tests.job.waiting import wait_until
from udfs.flink.metrics import Metric

pytestmark = pytest.mark.cluster

WINDOW_S = 6.0
ONCE_EACH = pytest.approx(2 / 0.05, rel=0.35)
"""Two partitions every 50 ms; a busy machine is late, and a poll that was armed twice would make it 60 or 80."""


def polls_per_s(run: Run) -> float:
    with FlinkRest(run.cluster.rest_url) as rest:

        def polls() -> int:
            return fresh_counts(rest, run.deployment.job_id).total(Metric.POLLS)

        wait_until(settled(polls), timeout_s=60, what="polls")
        before, began = polls(), time.monotonic()
        wait_until(lambda: time.monotonic() > began + WINDOW_S, timeout_s=WINDOW_S + 5, what="a window")
        return (polls() - before) / (time.monotonic() - began)


def settled(polls: Callable[[], int]) -> Callable[[], bool]:
    """Whether the count rose three times in a row: after a restore Flink still tells the attempt's before, then 0."""
    seen, rises = 0, 0

    def rose() -> bool:
        nonlocal seen, rises
        now = polls()
        rises = 0 if now < seen else rises + (now > seen)
        seen = now
        return rises >= 3

    return rose


@pytest.mark.slow
def test_polling_is_as_frequent_after_three_restores_and_a_savepoint(run_job: Deploy, tmp_path: Path) -> None:
    log = tmp_path / "log"
    create_log(log, 2)
    settings = ("lists.policy=history", "scoring.bundle=null", "log.poll_interval_ms=50")
    run = run_job(log, *settings)
    assert polls_per_s(run) == ONCE_EACH
    with FlinkRest(run.cluster.rest_url) as rest:
        for restores in range(1, 4):
            wait_until(lambda: completed(rest, run) > 0, timeout_s=60, what="a checkpoint")
            kill_the_one_that_works(run, rest)
            wanted = restores
            wait_until(
                lambda wanted=wanted: rest.checkpoints(run.deployment.job_id).restored >= wanted,  # type: ignore[misc]
                timeout_s=60,
                what="a restore",
            )
            rest.wait_until_running(run.deployment.job_id, timeout_s=60)
    assert polls_per_s(run) == ONCE_EACH
    stopped = run_job(log, *settings, fresh=False)
    assert stopped.deployment.restored_from is not None
    assert polls_per_s(stopped) == ONCE_EACH


def completed(rest: FlinkRest, run: Run) -> int:
    return rest.checkpoints(run.deployment.job_id).completed


def kill_the_one_that_works(run: Run, rest: FlinkRest) -> None:
    job = rest.job(run.deployment.job_id)
    detail = rest.get(f"/jobs/{job.job_id}/vertices/{job.vertices[0].vertex_id}")
    working = detail["subtasks"][0]["taskmanager-id"]
    index = next(each.index for each in run.cluster.task_managers() if each.resource_id == working)
    run.cluster.kill_task_manager(index)
