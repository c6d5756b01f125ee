"""A Kafka topic as the behaviour log.

Partitions are assigned by hand and positions are poll-log's state; no consumer group decides what is read. Only
committed transactions are read. The client lives on a thread of its own (`udfs/log/kafka_fetcher.py`), so a poll takes
what is there and never waits, whatever the brokers do.
"""

from dataclasses import dataclass

from udfs.kafka.connection import KafkaConnection
from udfs.log.group_offsets import GroupOffsets
from udfs.log.kafka_fetcher import KafkaFetcher
from udfs.log.kafka_records import UNKNOWN_TOPIC_ID
from udfs.log.reader import Poll


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaLog:
    """A topic, and the settings for reading it.

    Attributes:
        connection: to its brokers.
        topic: its name.
        group: the consumer group for which read offsets are committed.
        start_offsets: first offsets of partition 0, 1, ... without state; others begin with their oldest record.
        skip_gone: whether records that were removed before they were read are stepped over.
    """

    connection: KafkaConnection
    topic: str
    group: str
    start_offsets: tuple[int, ...]
    skip_gone: bool

    def open(self) -> "KafkaLogReader":
        """Open a reader; each subtask has one of its own."""
        return KafkaLogReader(self)


class KafkaLogReader:
    """A reader that hands on what the fetching thread brought."""

    def __init__(self, log: KafkaLog) -> None:
        self._log = log
        self._fetcher = KafkaFetcher(log.connection, log.topic, skip_gone=log.skip_gone)
        self._group: GroupOffsets | None = None

    def partitions(self) -> int:
        """Return the number of partitions, as brokers reported it within the last second or so.

        Raises:
            LogError: see `KafkaFetcher`.
        """
        self._fetcher.raise_failure()
        return self._fetcher.partitions

    def poll(self, partition: int, next_offset: int, cursor: bytes, limit: int) -> Poll:
        """Return the fetched records of the partition; none while its place is being looked up.

        Raises:
            LogError: see `KafkaFetcher`.
        """
        self._fetcher.raise_failure()
        if (buffer := self._fetcher.buffers.get(partition)) is not None:
            return buffer.take(limit)
        if not cursor and partition < len(self._log.start_offsets):
            self._fetcher.want(partition, self._log.start_offsets[partition], UNKNOWN_TOPIC_ID)
        else:
            self._fetcher.want(partition, next_offset, cursor)
        if self._group is None:
            self._group = GroupOffsets(self._log.connection, self._log.topic, self._log.group, self._taken)
        return Poll(records=[], next_offset=next_offset, cursor=cursor, more=False)

    def silent_ms(self) -> int:
        """Return for how long no broker has reported on the topic."""
        return self._fetcher.silent_ms()

    def close(self) -> None:
        """Commit for the group once more, and close all connections."""
        if self._group is not None:
            self._group.close()
        self._fetcher.close()

    def _taken(self) -> dict[int, int]:
        return {partition: buffer.taken for partition, buffer in list(self._fetcher.buffers.items())}
