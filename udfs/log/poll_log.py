"""poll-log: the operator that reads the behaviour log, one key per partition, and sends one element per user bucket.

PyFlink can't define a source in Python, so a keyed function polls: a processing-time timer arms itself again after
every poll, and the next offset is in managed keyed state, in the same checkpoint as everything made of the records.
The time of the armed timer is not in state: a timer of a checkpoint is as good as the one that the next tick would arm.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pyflink.common import Row
from pyflink.datastream import KeyedProcessFunction, ProcessFunction, RuntimeContext

from udfs.attempt import DeploymentId
from udfs.buckets import partition_keys
from udfs.flink.collector import settle
from udfs.flink.metrics import Level, Metric, counters
from udfs.log.announce_starts import AnnounceStarts
from udfs.log.backpressure import BackpressurePause
from udfs.log.output_queue import OutputQueue
from udfs.log.parsing import ParsingRules
from udfs.log.poll_times import PollTimes
from udfs.log.reader import Log
from udfs.log.sort_records import LogPositions, SortRecords

_ENOUGH_QUEUED_BYTES = 2_048
"""While more is queued for a reader, nothing is polled: about 20 behaviours. Others wait in the log, where the next
poll finds them together, so elements are as large as the load asks for, and few where they are large."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PollRules:
    """Rules for polling the log.

    Attributes:
        interval_ms: time from one poll of a partition to the next, when the log has no more.
        max_records: most records of one poll.
        max_parallelism: number of user buckets.
        parsing: rules for accepting records.
        deployment: the deployment that the job belongs to.
    """

    interval_ms: int
    max_records: int
    max_parallelism: int
    parsing: ParsingRules
    deployment: DeploymentId


class FindPartitions(ProcessFunction):
    """The operator find-partitions: one empty element per partition at every tick, which arms its polling."""

    def __init__(self, log: Log, max_parallelism: int) -> None:
        self._log = log
        self._max_parallelism = max_parallelism

    def open(self, context: RuntimeContext) -> None:
        """Open the log."""
        self._reader = self._log.open()
        self._silence = Level(context, Metric.LOG_SILENT_MS)
        settle()

    def close(self) -> None:
        """Close the log."""
        self._reader.close()

    def process_element(self, _tick: Any, _context: Any) -> Iterator[Row]:
        """Yield Row(partition's key, partition number as bytes) for each partition."""
        self._silence.set(self._reader.silent_ms())
        keys = partition_keys(self._reader.partitions(), self._max_parallelism)
        for partition, key in enumerate(keys):
            yield Row(key, partition.to_bytes(4, "little"))


class PollLog(KeyedProcessFunction):
    """The operator poll-log, keyed by log partition.

    In: ticks. Out: PolledElement by user bucket. Side outputs: rows of dead_letters and of attempts.
    """

    def __init__(self, log: Log, rules: PollRules) -> None:
        self._log = log
        self._rules = rules

    def open(self, context: RuntimeContext) -> None:
        """Open the log and the state."""
        self._reader = self._log.open()
        self._positions = LogPositions(context, self._rules.deployment)
        self._sorter = SortRecords(context, self._rules.parsing, self._rules.max_parallelism)
        self._starts = AnnounceStarts(self._rules.max_parallelism)
        self._times = PollTimes(self._rules.interval_ms)
        self._pause = BackpressurePause()
        self._output = OutputQueue(context)
        (self._polls,) = counters(context, Metric.POLLS)
        self._silence = Level(context, Metric.LOG_SILENT_MS)
        settle()

    def close(self) -> None:
        """Close the log."""
        self._reader.close()

    def process_element(self, partition: bytes, context: Any) -> Iterator[Any]:
        """Arm the partition's polling unless it is armed: doing so again changes nothing."""
        key = context.get_current_key()
        if key not in self._times:
            yield from self._positions.begin(key, int.from_bytes(partition, "little"))
            timers = context.timer_service()
            timers.register_processing_time_timer(self._times.begin(key, timers.current_processing_time()))

    def on_timer(self, timestamp: int, context: Any) -> Iterator[Any]:
        """Poll once, if downstream has taken most of what it was given.

        A timer that is not the armed one is left over, and does nothing.

        Raises:
            ClockSteppedBackError: timers would wait until the clock is where it was.
        """
        key, timers = context.get_current_key(), context.timer_service()
        now = timers.current_processing_time()
        if not self._times.fires(key, timestamp, now):
            return
        if now >= self._pause.until_ms and self._output.longest() > _ENOUGH_QUEUED_BYTES:
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
        if poll.records:
            yield from self._sorter.sort(poll.records, position)
        # A log may move on without records too.
        if (poll.next_offset, poll.cursor) != (position.next_offset, position.cursor):
            self._positions.move(position, poll.next_offset, poll.cursor)
        done = timers.current_processing_time()
        position.report_lag(done, more=poll.more)
        self._pause.polled(key, now, done)
        timers.register_processing_time_timer(self._times.arm_after_poll(key, done, more=poll.more))
