"""Three times the load a job can carry: it lags, keeps its checkpoints, loses nothing and catches up; or it sheds."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from job.cluster import FlinkRest, RunningCluster
from job.deployment.status import counted, fresh_counts
from job.replay.log_writer import LogWriter
from model.datasets.json_lines import encode_behavior
from model.records import UserBehavior
from tests.job.faulty_model import ITEMS
from tests.job.fixtures import PARTITIONS, Run, jobs_on, write_log
from tests.job.slow_model import write_slow_bundle
from tests.job.waiting import wait_until
from udfs.flink.metrics import Metric
from udfs.hashing import stable_hash

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

TIMES = 3
OVERLOADED_S = 60.0
WARM = 4_000
USERS = 200
BATCHES = "scoring.batch_max_size=32"
"""Far within the deadline, on a busy machine too: it is the load that is too much, not a call."""
SHED_AFTER_MS = 1_000
FRESH_MS = 1_000
CHECKPOINT_S = 6.0
"""A barrier waits for a poll that waits, and behind what lies before the model: it took 1 to 2 s of this load."""
_TICK_S = 0.02


@dataclass(frozen=True)
class Stretch:
    """What was appended between two moments, epoch ms."""

    run: Run
    begin_ms: int
    end_ms: int
    appended: int

    def count(self, condition: str) -> int:
        return self.run.count("recommendation_lists", f"{self._within('appended_at')} AND {condition}")

    def made_meanwhile(self) -> int:
        return self.run.count("recommendation_lists", self._within("written_at"))

    def freshness_ms(self, share: float) -> float:
        rows = self.run.rows(
            f"""SELECT quantile_cont(written_at - appended_at, {share}) FROM recommendation_lists
            WHERE {self._within("appended_at")}"""
        )
        return float(str(rows[0][0]))

    def told(self) -> str:
        reasons = self.run.rows("SELECT source, fallback_reason, count(*) FROM recommendation_lists GROUP BY 1, 2")
        fresh = " / ".join(f"{self.freshness_ms(share):,.0f}" for share in (0.5, 0.95, 0.99))
        return f"{self.appended:,} appended, {self.made_meanwhile():,} lists meanwhile; p50/95/99 {fresh} ms; {reasons}"

    def _within(self, column: str) -> str:
        return f"{column} BETWEEN {self.begin_ms} AND {self.end_ms}"


class Feed:
    """Behaviours of many users to a running job."""

    def __init__(self, run: Run, writer: LogWriter) -> None:
        self.run = run
        self.appended = WARM
        self._writer = writer

    def steadily(self, per_s: float, seconds: float) -> Stretch:
        """Appends what is due every 20 ms."""
        began, begin_ms, before = time.monotonic(), now_ms(), self.appended
        while (passed_s := time.monotonic() - began) < seconds:
            due = before + int(passed_s * per_s)
            self._writer.append(map(behavior, range(self.appended, due)))
            self.appended = due
            time.sleep(_TICK_S)
        return Stretch(self.run, begin_ms, now_ms(), self.appended - before)

    def wait_until_read(self, timeout_s: float) -> None:
        """Until every behaviour has its list; by Flink's count at first: reading the tables takes the job's CPU."""

        def read() -> bool:
            with FlinkRest(self.run.cluster.rest_url) as rest:
                return counted(rest, rest.job(self.run.deployment.job_id)).total(Metric.LISTS) >= self.appended

        wait_until(read, timeout_s=timeout_s, what=f"{self.appended:,} lists")
        self.run.wait_for_offsets(self.appended, timeout_s=60)


@dataclass(frozen=True)
class Overload:
    """A minute of three times what the job carries, and the checkpoints of that minute."""

    feed: Feed
    stretch: Stretch
    completed: int
    failed: int


def test_an_overloaded_job_lags_keeps_its_checkpoints_and_catches_up(cluster: RunningCluster, tmp_path: Path) -> None:
    with overloaded(cluster, tmp_path) as done:
        done.feed.wait_until_read(timeout_s=2 * TIMES * OVERLOADED_S)
        print(done.stretch.told())
        assert done.stretch.made_meanwhile() < 0.6 * done.stretch.appended
        assert done.stretch.count("fallback_reason = 'shed'") == 0
        assert_checkpoints_went_on_and_nothing_is_lost(done)
        later = done.feed.steadily(10, 5)
        done.feed.wait_until_read(timeout_s=60)
        assert later.freshness_ms(0.95) < FRESH_MS


def test_an_overloaded_job_that_may_shed_stays_near_the_bound(cluster: RunningCluster, tmp_path: Path) -> None:
    with overloaded(cluster, tmp_path, f"scoring.shed_after_ms={SHED_AFTER_MS}") as done:
        done.feed.wait_until_read(timeout_s=60)
        print(done.stretch.told())
        assert done.stretch.freshness_ms(0.95) < 3 * SHED_AFTER_MS
        assert done.stretch.count("fallback_reason = 'shed'") > 0.3 * done.stretch.appended
        assert done.stretch.count("source = 'scored'") > 0
        assert_checkpoints_went_on_and_nothing_is_lost(done)
        later = done.feed.steadily(10, 5)
        done.feed.wait_until_read(timeout_s=60)
        assert later.count("fallback_reason = 'shed'") == 0
        with FlinkRest(cluster.rest_url) as rest:
            told = fresh_counts(rest, done.feed.run.deployment.job_id).fallback_reasons
        assert told["shed"] == done.feed.run.count("recommendation_lists", "fallback_reason = 'shed'")


@contextmanager
def overloaded(cluster: RunningCluster, folder: Path, *settings: str) -> Iterator[Overload]:
    """Measures what the job can do, then appends three times as much for a minute."""
    bundle, log = write_slow_bundle(folder / "slow"), folder / "log"
    # Without the time of appending: none of these is ever shed.
    warm = [(stable_hash(each.user_id) % PARTITIONS, encode_behavior(each)) for each in map(behavior, range(WARM))]
    write_log(log, warm)
    with jobs_on(cluster, bundle, folder) as run_job, FlinkRest(cluster.rest_url) as rest, LogWriter(log) as writer:
        run = run_job(log, BATCHES, *settings)
        run.wait_for_offsets(WARM, timeout_s=120)
        feed, before = Feed(run, writer), rest.checkpoints(run.deployment.job_id)
        stretch = feed.steadily(TIMES * carried_per_s(run), OVERLOADED_S)
        after = rest.checkpoints(run.deployment.job_id)
        print(f"checkpoints took {[(each.status, each.duration_ms) for each in after.history]} ms")
        yield Overload(feed, stretch, after.completed - before.completed, after.failed - before.failed)


def carried_per_s(run: Run) -> float:
    """How many lists a second the job made of what lay in the log; without its start."""
    sql = f"""SELECT count(*), max(written_at) - min(written_at) FROM (
        SELECT written_at FROM recommendation_lists ORDER BY written_at OFFSET {WARM // 4})"""
    ((lists, took_ms),) = run.rows(sql)
    per_s = int(str(lists)) / int(str(took_ms)) * 1000
    print(f"the job carries {per_s:,.0f} behaviours a second")
    return per_s


def assert_checkpoints_went_on_and_nothing_is_lost(done: Overload) -> None:
    run, appended = done.feed.run, done.feed.appended
    assert done.failed == 0
    assert done.completed >= OVERLOADED_S / CHECKPOINT_S
    assert run.count("user_behavior", "outcome = 'applied'") == run.count("recommendation_lists") == appended
    of_each_user = "(SELECT max(user_seq) AS newest, count(*) AS lists FROM recommendation_lists GROUP BY user_id)"
    assert run.count(of_each_user, "newest <> lists") == 0
    with FlinkRest(run.cluster.rest_url) as rest:
        assert rest.exceptions(run.deployment.job_id) == []


def behavior(number: int) -> UserBehavior:
    return UserBehavior(f"user-{number % USERS}", "click", ITEMS[number // USERS % len(ITEMS)], 1_000 + number)


def now_ms() -> int:
    return int(time.time() * 1000)
