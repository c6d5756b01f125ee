"""poll-log for a topic that Flink's own Kafka connector reads: its records are sorted as if they had been polled.

An element holds the records of one partition that came within a few milliseconds, in order, as
`job/topology/native_kafka.py` writes them: text, in which a record's bytes are the characters of the same numbers,
so that no byte is lost.
"""

from collections.abc import Iterator
from typing import Any

from pyflink.common import Row
from pyflink.datastream import KeyedProcessFunction, ProcessFunction, RuntimeContext

from udfs.attempt import DeploymentId
from udfs.buckets import partition_keys
from udfs.flink.collector import settle
from udfs.log.announce_starts import AnnounceStarts
from udfs.log.kafka_records import UNKNOWN_TOPIC_ID, log_record
from udfs.log.parsing import LogRecord, ParsingRules
from udfs.log.reader import LogReplacedError
from udfs.log.sort_records import LogPositions, SortRecords

# Records consist of the first 256 characters; these are none of them.
RECORD_END = "\u241e"
FIELD_END = "\u241f"
NO_VALUE = "\u2400"
_PARTITION_BYTES = 4
_TIMER_EVERY_MS = 1_000
"""A partition that no record wakes after a restore is begun again within this time."""


class KeyRecords(ProcessFunction):
    """The operator key-records: gives the records of a partition the key that its polling would have."""

    def __init__(self, max_parallelism: int) -> None:
        self._max_parallelism = max_parallelism

    def process_element(self, row: Any, _context: Any) -> Iterator[Row]:
        """Turn Row(partition, records) into Row(partition's key, partition and records)."""
        partition, records = row
        key = partition_keys(partition + 1, self._max_parallelism)[partition]
        yield Row(key, partition.to_bytes(_PARTITION_BYTES, "little") + bytes(records))


class TakeRecords(KeyedProcessFunction):
    """The operator poll-log for records of Flink's own connector.

    In: a log partition and its records. Out: PolledElement by user bucket. Side outputs: rows of dead_letters and of
    attempts.

    An idle topic hands on nothing, also after a restore, and nothing of ours runs then but timers: one is always in a
    checkpoint, and begins the partition again.
    """

    def __init__(self, rules: ParsingRules, max_parallelism: int, deployment: DeploymentId) -> None:
        self._rules = rules
        self._deployment = deployment
        self._max_parallelism = max_parallelism

    def open(self, context: RuntimeContext) -> None:
        """Open the state."""
        self._positions = LogPositions(context, self._deployment)
        self._starts = AnnounceStarts(self._max_parallelism)
        self._sorter = SortRecords(context, self._rules, self._max_parallelism)
        self._armed: set[int] = set()
        settle()

    def process_element(self, element: bytes, context: Any) -> Iterator[Any]:
        """Sort the records, and count offsets that the connector did not hand on.

        Raises:
            LogReplacedError: offsets went back. The connector's and ours are in the same checkpoint.
        """
        partition = int.from_bytes(element[:_PARTITION_BYTES], "little")
        key = context.get_current_key()
        if key not in self._armed:
            self._arm(key, context)
        yield from self._begin(key, partition)
        position = self._positions.of(key)
        records = read_records(element[_PARTITION_BYTES:], partition)
        first, after = records[0].offset, records[-1].offset + 1
        if first < position.next_offset:
            msg = (
                f"partition {partition} of the topic was read up to {position.next_offset}, and goes on at {first}: "
                "it was made anew; deploy with --fresh to begin again"
            )
            raise LogReplacedError(msg)
        begun_at = position.next_offset if position.cursor else first
        self._sorter.count_gone(after - begun_at - len(records))
        yield from self._sorter.sort(records, position)
        self._positions.move(position, after, UNKNOWN_TOPIC_ID)

    def on_timer(self, _timestamp: int, context: Any) -> Iterator[Any]:
        """Begin the partition, if that was not done since the start or restore."""
        key = context.get_current_key()
        self._arm(key, context)
        yield from self._begin(key)

    def _begin(self, key: int, partition: int = 0) -> Iterator[Any]:
        yield from self._positions.begin(key, partition)
        yield from self._starts.announce(self._positions.of(key))

    def _arm(self, key: int, context: Any) -> None:
        """Arm a timer at a full second, so that it is the same as a restored one: Flink keeps one of equal times."""
        self._armed.add(key)
        timers = context.timer_service()
        now = timers.current_processing_time()
        timers.register_processing_time_timer(now - now % _TIMER_EVERY_MS + _TIMER_EVERY_MS)


def read_records(element: bytes, partition: int) -> list[LogRecord]:
    """Return the records of an element, in offset order."""
    records = []
    for text in element.decode().split(RECORD_END):
        offset, appended_at, value = text.split(FIELD_END)
        raw = None if value == NO_VALUE else value.encode("latin-1")
        records.append(log_record(partition, int(offset), int(appended_at) if appended_at else None, raw))
    return sorted(records, key=lambda record: record.offset)
