"""A Kafka topic as the behaviour log of a run, and all records of a topic as readers get them."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from functools import partial
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError

from job.drills.errors import DrillError
from job.drills.run_log import NO_RECORD, RunLog
from model.waiting import polls
from udfs.kafka.client import connect, offsets_found
from udfs.kafka.connection import KafkaConnection

_FOREVER_MS = 7 * 86_400_000
_PRODUCER = {
    "acks": "all",
    "enable_idempotence": True,
    # Records wait for brokers that are away, as those of a producer that must not lose any.
    "delivery_timeout_ms": _FOREVER_MS,
    "metrics_enabled": False,
}
_POLL_MS = 500
_READ_S = 120.0
_ANSWER_MS = 30_000
_CLOSE_S = 1.0


class TopicLog(RunLog):
    """A topic that grows by acknowledged records, each with an offset of its own."""

    def __init__(self, connection: KafkaConnection, topic: str, partitions: int) -> None:
        """Connect to it."""
        self._connection = connection
        self._topic = topic
        self._offsets: list[list[int]] = [[] for _ in range(partitions)]
        self._failure: Exception | None = None
        self._producer, _ = connect(KafkaProducer, connection, **_PRODUCER)

    def append(self, partition: int, lines: Sequence[bytes]) -> None:
        """Send lines; they are there once the brokers acknowledged them."""
        for line in lines:
            sent = self._producer.send(self._topic, line, partition=partition)
            sent.add_callback(partial(self._acknowledge, partition))
            sent.add_errback(self._fail)

    def lengths(self) -> list[int]:
        """Return the number of acknowledged records of each partition.

        Raises:
            DrillError: the brokers refused one.
        """
        if self._failure is not None:
            msg = f"topic {self._topic} of {self._connection.brokers} can't be written: {self._failure!r}"
            raise DrillError(msg) from self._failure
        return [len(offsets) for offsets in self._offsets]

    def number_of(self, partition: int, offset: int) -> int:
        """Return the number of the record at an offset; NO_RECORD of a transaction's mark or an aborted record."""
        offsets = self._offsets[partition]
        number = bisect_left(offsets, offset)
        return number if number < len(offsets) and offsets[number] == offset else NO_RECORD

    def holds(self, lines: Sequence[Sequence[bytes]]) -> bool:
        """Return whether the committed records of the topic are the first of these; removed ones are left out."""
        for record in read_topic(self._connection, self._topic):
            number = self.number_of(record.partition, record.offset)
            if number == NO_RECORD or lines[record.partition][number] != record.value:
                return False
        return True

    def close(self) -> None:
        """End the producer, and give up what is not acknowledged yet."""
        self._producer._sender.force_close()
        with suppress(KafkaError):
            self._producer.close(timeout=_CLOSE_S)

    def _acknowledge(self, partition: int, at: Any) -> None:
        self._offsets[partition].append(at.offset)

    def _fail(self, error: Exception) -> None:
        self._failure = error


def read_topic(connection: KafkaConnection, topic: str) -> Iterator[Any]:
    """Yield the records (of kafka-python) that a topic holds now, without those of transactions that did not commit.

    Raises:
        DrillError: the brokers do not answer.
    """
    consumer, _ = connect(KafkaConsumer, connection, isolation_level="read_committed", enable_auto_commit=False)
    with closing(consumer):
        partitions = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic))]
        consumer.assign(partitions)
        consumer.seek_to_beginning(*partitions)
        ends = offsets_found(consumer.end_offsets, partitions, timeout_ms=_ANSWER_MS)
        for _ in polls(timeout_s=_READ_S, poll_s=0):  # the consumer's poll waits
            if all(consumer.position(each) >= ends[each] for each in partitions):
                return
            for records in consumer.poll(timeout_ms=_POLL_MS).values():
                yield from records
    msg = f"topic {topic} of {connection.brokers} was not read to its end in {_READ_S:g} s"
    raise DrillError(msg)
