"""A model that hangs: lists and checkpoints go on; scoring is back when the model is, and nothing is left of it."""

import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from job.cluster import FlinkRest, RunningCluster
from job.deployment.status import fresh_counts
from job.replay.log_writer import LogWriter
from model.records import UserBehavior
from model.waiting import polls
from tests.job.faulty_model import ITEMS
from tests.job.fixtures import Run, jobs_on
from tests.job.hanging_model import Gate, write_hanging_bundle
from tests.job.test_killed_worker import workers
from tests.job.test_orphaned_worker import still_there
from udfs.elements import FallbackReason

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

HANGS = 20
EVERY_S = 0.25
"""Longer than the deadline: what asks the model, and hangs, is a batch of one behaviour then."""
LET_GO_AFTER_S = 8.0
BACK_WITHIN_S = 10.0


class Feed:
    """Behaviours of one user, one by one."""

    def __init__(self, run: Run, writer: LogWriter, gate: Gate) -> None:
        self.run = run
        self.gate = gate
        self.appended = 0
        self._writer = writer

    def one(self) -> None:
        item = ITEMS[self.appended % len(ITEMS)]
        self._writer.append([UserBehavior("user", "click", item, 1_000 + self.appended)])
        self.appended += 1
        time.sleep(EVERY_S)

    def for_seconds(self, seconds: float) -> None:
        for _ in polls(timeout_s=seconds, poll_s=0):
            self.one()

    def until_scored(self, since_ms: int) -> float:
        """Seconds from then until a list was made from scores."""
        condition = f"source = 'scored' AND written_at >= {since_ms}"
        sql = f"SELECT min(written_at) FROM recommendation_lists WHERE {condition}"
        for _ in polls(timeout_s=60, poll_s=0):
            if self.run.count("recommendation_lists", condition):
                return (int(str(self.run.rows(sql)[0][0])) - since_ms) / 1000
            self.one()
        pytest.fail("not scored again within 60 s")

    def recovered_s(self) -> float:
        self.gate.open()
        return self.until_scored(int(time.time() * 1000))

    def hangs(self) -> int:
        """Calls that missed their deadline; they are a second apart at least."""
        sql = "SELECT count(DISTINCT written_at // 500) FROM recommendation_lists WHERE fallback_reason = 'deadline'"
        return int(str(self.run.rows(sql)[0][0]))


@pytest.fixture
def feed(cluster: RunningCluster, tmp_path: Path) -> Iterator[Feed]:
    """To a job whose model answers, until its gate is shut."""
    gate, log = Gate(tmp_path / "gate"), tmp_path / "log"
    bundle = write_hanging_bundle(tmp_path / "hanging", gate)
    with jobs_on(cluster, bundle, tmp_path) as run_job, LogWriter(log) as writer:
        feeding = Feed(run_job(log), writer, gate)
        feeding.until_scored(0)
        try:
            yield feeding
        finally:
            gate.open()
            gate.close()


def test_twenty_hangs_in_a_row_stop_neither_checkpoints_nor_lists(feed: Feed) -> None:
    run = feed.run
    before = {worker: psutil.Process(worker).num_threads() for worker in workers(run.cluster)}
    with FlinkRest(run.cluster.rest_url) as rest:
        at_first, began = rest.checkpoints(run.deployment.job_id), time.monotonic()
        while feed.hangs() < HANGS:
            assert time.monotonic() - began < 240
            feed.gate.shut()
            feed.for_seconds(LET_GO_AFTER_S)
        hung_s = time.monotonic() - began
        made = rest.checkpoints(run.deployment.job_id)
        threads = {worker: psutil.Process(worker).num_threads() for worker in workers(run.cluster)}

        back_s = feed.recovered_s()
        assert back_s <= BACK_WITHIN_S
        run.wait_for_offsets(feed.appended, timeout_s=60)
        during = made.completed - at_first.completed
        print(f"{feed.hangs()} hangs in {hung_s:.0f} s, {during} checkpoints, back after {back_s:.1f} s")

        assert during >= hung_s / 2 * 0.8
        assert made.failed == at_first.failed
        assert threads.keys() == before.keys()
        assert all(count <= before[worker] + 4 for worker, count in threads.items())
        assert rest.exceptions(run.deployment.job_id) == []
        told = fresh_counts(rest, run.deployment.job_id).fallback_reasons
    assert told == reasons_on_rows(run)
    assert set(told) == {FallbackReason.DEADLINE, FallbackReason.MODEL_BUSY, FallbackReason.CIRCUIT_OPEN}


def test_no_process_is_left_of_a_job_that_is_cancelled_while_its_model_hangs(feed: Feed) -> None:
    left = [psutil.Process(worker) for worker in workers(feed.run.cluster)]
    feed.gate.shut()
    feed.for_seconds(3)
    with FlinkRest(feed.run.cluster.rest_url) as rest:
        rest.cancel(feed.run.deployment.job_id)
        rest.wait_for_job(feed.run.deployment.job_id, lambda job: job.is_over, timeout_s=30)
    assert still_there(left, 5.0) == []


def test_a_call_that_hangs_for_thirty_seconds_ends_the_worker_and_nothing_is_lost(feed: Feed) -> None:
    run = feed.run
    before = set(workers(run.cluster))
    with FlinkRest(run.cluster.rest_url) as rest:
        feed.gate.shut()
        began = time.monotonic()
        while not rest.checkpoints(run.deployment.job_id).restored:
            assert time.monotonic() - began < 60
            feed.for_seconds(1)
        print(f"restored {time.monotonic() - began:.1f} s after the first call hung")
        # The model hangs in its warm-up as well.
        restored = feed.appended
        while not run.count("recommendation_lists", f"user_seq > {restored}"):
            assert time.monotonic() - began < 120
            feed.one()
        back_s = feed.recovered_s()
        causes = [each.root_cause for each in rest.exceptions(run.deployment.job_id)]
        print(f"scoring back after {back_s:.1f} s; {causes}")
    assert back_s <= BACK_WITHIN_S
    run.wait_for_offsets(feed.appended, timeout_s=60)
    assert not before & set(workers(run.cluster))
    assert run.count("user_behavior", "outcome = 'applied'") == run.count("recommendation_lists") == feed.appended
    assert run.rows("SELECT max(user_seq), max(list_version) FROM recommendation_lists") == [(feed.appended,) * 2]


def reasons_on_rows(run: Run) -> dict[str, int]:
    sql = "SELECT fallback_reason, count(*) FROM recommendation_lists WHERE source = 'fallback' GROUP BY 1"
    return {str(reason): int(str(count)) for reason, count in run.rows(sql)}
