"""poll-log: reads the behaviour log, one key a partition, and hands on what it finds, one element a user bucket.

PyFlink can't define a source in Python, so a keyed function polls: a processing-time timer arms itself again after
every poll, and the next offset is in managed keyed state, in the same checkpoint as everything made of the records.
Which timer is armed is not: a timer of a checkpoint is as good as the one that the next tick would arm.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pyflink.common import Row
from pyflink.datastream import KeyedProcessFunction, ProcessFunction, RuntimeContext

from udfs.attempt import DeploymentId
from udfs.buckets import partition_keys
from udfs.flink.metrics import Level, Metric, counters
from udfs.log.announce_starts import AnnounceStarts
from udfs.log.backpressure import BackpressurePause
from udfs.log.output_queue import OutputQueue
from udfs.log.parsing import ParsingRules
from udfs.log.poll_times import PollTimes
from udfs.log.position import LogPosition
from udfs.log.reader import Log, Poll
from udfs.log.sort_records import LogPositions, SortRecords

ENOUGH_QUEUED_BYTES = 2_048
"""While a reader has more before it, nothing is polled, so that what waits does so in the log, where the next poll
finds it together: about 20 behaviours. Elements are as large as the load asks for, and few where they are large."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PollRules:
    """How the log is polled.

    Attributes:
        interval_ms: from one poll of a partition to the next, when the log has no more.
        max_records: what one poll takes at most.
        max_parallelism: how many user buckets there are.
        parsing: what is accepted.
        deployment: which one this is.
    """

    interval_ms: int
    max_records: int
    max_parallelism: int
    parsing: ParsingRules
    deployment: DeploymentId


class FindPartitions(ProcessFunction):
    """find-partitions: at every tick one empty element a partition, which arms the partition's polling."""

    def __init__(self, log: Log, max_parallelism: int) -> None:
        self._log = log
        self._max_parallelism = max_parallelism

    def open(self, context: RuntimeContext) -> None:
        """Opens the log."""
        self._reader = self._log.open()
        self._silence = Level(context, Metric.LOG_SILENT_MS)

    def close(self) -> None:
        """Closes the log."""
        self._reader.close()

    def process_element(self, _tick: Any, _context: Any) -> Iterator[Row]:
        """One tick to (partition's key, partition number as bytes)."""
        self._silence.set(self._reader.silent_ms())
        keys = partition_keys(self._reader.partitions(), self._max_parallelism)
        for partition, key in enumerate(keys):
            yield Row(key, partition.to_bytes(4, "little"))


class PollLog(KeyedProcessFunction):
    """Keyed by log partition. In: ticks. Out: PolledElement by user bucket; side output: dead letters."""

    def __init__(self, log: Log, rules: PollRules) -> None:
        self._log = log
        self._rules = rules

    def open(self, context: RuntimeContext) -> None:
        """Opens the log and the state."""
        self._reader = self._log.open()
        self._positions = LogPositions(context, self._rules.deployment)
        self._sorter = SortRecords(context, self._rules.parsing, self._rules.max_parallelism)
        self._starts = AnnounceStarts(self._rules.max_parallelism)
        self._times = PollTimes(self._rules.interval_ms)
        self._pause = BackpressurePause()
        self._output = OutputQueue(context)
        (self._polls,) = counters(context, Metric.POLLS)
        self._silence = Level(context, Metric.LOG_SILENT_MS)

    def close(self) -> None:
        """Closes the log."""
        self._reader.close()

    def process_element(self, partition: bytes, context: Any) -> Iterator[Any]:
        """Arms the partition's polling unless it is armed: doing so again changes nothing."""
        key = context.get_current_key()
        if key not in self._times:
            yield from self._positions.begin(key, int.from_bytes(partition, "little"))
            timers = context.timer_service()
            timers.register_processing_time_timer(self._times.begin(key, timers.current_processing_time()))

    def on_timer(self, timestamp: int, context: Any) -> Iterator[Any]:
        """Polls once, if downstream is through with most of what it was given.

        A timer that is not the armed one is left over, and does nothing.

        Raises:
            ClockSteppedBackError: timers would wait until the clock is where it was.
        """
        key, timers = context.get_current_key(), context.timer_service()
        now = timers.current_processing_time()
        if not self._times.fires(key, timestamp, now):
            return
        if now >= self._pause.until_ms and self._output.longest() > ENOUGH_QUEUED_BYTES:
            self._pause.full(now, self._rules.interval_ms)
        if now < self._pause.until_ms:
            timers.register_processing_time_timer(self._times.arm(key, self._pause.turn(key)))
            return
        self._polls.inc()
        yield from self._positions.begin(key)
        position = self._positions.of(key)
        yield from self._starts.announce(position)
        poll = self._reader.poll(position.partition, position.next_offset, position.cursor, self._rules.max_records)
        self._silence.set(self._reader.silent_ms())
        yield from self._take(poll, position)
        done = timers.current_processing_time()
        self._pause.polled(key, now, done)
        timers.register_processing_time_timer(self._times.arm_after_poll(key, done, more=poll.more))

    def _take(self, poll: Poll, position: LogPosition) -> Iterator[Any]:
        """Hands on the records, and stores the new place, which a log may have moved on without records too."""
        if poll.records:
            yield from self._sorter.sort(poll.records, position)
        if (poll.next_offset, poll.cursor) != (position.next_offset, position.cursor):
            self._positions.move(position, poll.next_offset, poll.cursor)
