"""Polling goes on whatever the clock does, and never so that nothing else is done: under Flink's rules for timers."""

import heapq
import itertools
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from udfs.log.backpressure import BackpressurePause
from udfs.log.poll_times import TOLERATED_STEP_MS, ClockSteppedBackError, PollTimes

INTERVAL_MS = 10
HOUR_MS = 3_600_000
LONGEST_PAUSE_MS = 2_000
"""A step ahead during a poll looks like one that had to wait."""


@dataclass
class Timers:
    """Flink's processing-time timers of one operator: absolute, and the next one is waited for by a delay."""

    steps: dict[int, int]
    now: int = 0
    queue: list[tuple[int, int]] = field(default_factory=list)
    due: tuple[int, int] | None = None
    """When it fires (by what really passed), and the time it was registered for."""

    def clock(self) -> int:
        return HOUR_MS * 10 + self.now + sum(by for at, by in self.steps.items() if at <= self.now)

    def register(self, at: int, key: int) -> None:
        if (at, key) not in self.queue:
            heapq.heappush(self.queue, (at, key))
        if self.due is None or at < self.due[1]:
            self.due = self.now + max(0, at - self.clock()), at


@dataclass
class Poller:
    """PollLog's part that deals with time, over partitions of which some have more to read."""

    timers: Timers
    more: bool
    partitions: int
    times: PollTimes = field(default_factory=lambda: PollTimes(INTERVAL_MS))
    pause: BackpressurePause = field(default_factory=BackpressurePause)
    polls: list[int] = field(default_factory=list)

    def start(self) -> None:
        for key in range(self.partitions):
            self.timers.register(self.times.begin(key, self.timers.clock()), key)

    def on_timer(self, timestamp: int, key: int) -> None:
        now = self.timers.clock()
        if not self.times.fires(key, timestamp, now):
            return
        if now < self.pause.until_ms:
            self.timers.register(self.times.arm(key, self.pause.turn(key)), key)
            return
        self.polls.append(self.timers.now)
        self.timers.now += 1
        done = self.timers.clock()
        self.pause.polled(key, now, done)
        self.timers.register(self.times.arm_after_poll(key, done, more=self.more), key)

    def run_until(self, end: int) -> None:
        """As Flink does: all timers up to the due one's time, then other work, such as a barrier."""
        while self.timers.due is not None and self.timers.due[0] < end:
            self.timers.now, up_to = max(self.timers.now, self.timers.due[0]), self.timers.due[1]
            self.timers.due, began = None, self.timers.now
            while self.timers.queue and self.timers.queue[0][0] <= up_to:
                self.on_timer(*heapq.heappop(self.timers.queue))
                assert self.timers.now - began <= TOLERATED_STEP_MS, "nothing else gets its turn"
            if self.timers.queue and self.timers.due is None:
                at, _ = self.timers.queue[0]
                self.timers.due = self.timers.now + max(0, at - self.timers.clock()), at


def longest_gap(poller: Poller, end: int) -> int:
    moments = [0, *poller.polls, end]
    return max(later - before for before, later in itertools.pairwise(moments))


small = st.dictionaries(st.integers(1, 3_000), st.integers(-TOLERATED_STEP_MS // 4, 2 * HOUR_MS), max_size=4)


@settings(max_examples=30, deadline=None)
@given(small, st.booleans(), st.integers(1, 4))
def test_a_clock_that_steps_a_little_or_ahead_does_not_stop_polling(
    steps: dict[int, int], more: bool, partitions: int
) -> None:
    poller = Poller(Timers(steps), more, partitions)
    poller.start()
    poller.run_until(4_000)
    assert longest_gap(poller, 4_000) <= LONGEST_PAUSE_MS + TOLERATED_STEP_MS + 100


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 500), st.integers(-48 * HOUR_MS, -2 * TOLERATED_STEP_MS), st.booleans(), st.integers(1, 4))
def test_a_clock_that_steps_back_by_more_starts_the_job_again_at_once(
    at: int, by: int, more: bool, partitions: int
) -> None:
    poller = Poller(Timers({at: by}), more, partitions)
    poller.start()
    with pytest.raises(ClockSteppedBackError, match="went back by"):
        poller.run_until(at + 100)
    assert poller.timers.now <= at + INTERVAL_MS + 2 * partitions


def test_a_timer_of_a_checkpoint_is_taken_where_none_is_armed_and_left_where_one_is() -> None:
    times = PollTimes(INTERVAL_MS)
    assert times.fires(1, 7, 7)
    assert not times.fires(1, 8, 8)
    assert 1 in times
    assert times.begin(2, 50) == 50
    assert not times.fires(2, 7, 7)
