"""A Kafka topic as the target of a replay: acknowledged records count, by the topic's end offsets.

No other producer may append to the topic meanwhile. Every acknowledged record must have the offset that follows the
last one, so another producer is detected, even an earlier run of this replay that died. After a failure nothing more is
sent, so each partition keeps a prefix of its records.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from zlib import crc32

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError, UnknownError

from job.kafka.errors import ProduceError, TopicError
from job.kafka.no_answer import as_topic_errors
from job.kafka.topics import create_topic
from job.replay.log_writer import DEFAULT_PARTITIONS, LogLockedError
from job.replay.replay import ReplayMismatchError
from model.closing import Closing
from model.datasets.json_lines import encode_behavior
from model.file_lock import try_lock
from model.records import UserBehavior
from model.waiting import polls, wait_until
from udfs.hashing import stable_hash
from udfs.kafka.client import connect, offsets_found
from udfs.kafka.connection import KafkaConnection

_REPLAYS = Path(".recloop/replays")
_ANSWER_MS = 10_000
_ACKNOWLEDGE_S = 60.0
_CLOSE_S = 5.0
_RETRY_S = 0.1
_FOREVER_MS = 7 * 86_400_000
_PRODUCER = {
    "acks": "all",
    "enable_idempotence": True,
    "linger_ms": 20,
    "batch_size": 128 * 1024,
    "max_block_ms": _ANSWER_MS,
    # A batch that expires leaves a gap before the next one: the whole replay is given up instead.
    "delivery_timeout_ms": _FOREVER_MS,
}


class TopicTarget(Closing):
    """A producer for a topic, and the topic's end offsets and last records when it was opened.

    Attributes:
        name: the topic and its brokers.
        notes: the folder of this topic; if the topic is deleted and made again, it has another folder.
        partitions: the topic's number of partitions.
    """

    def __init__(
        self,
        connection: KafkaConnection,
        topic: str,
        partitions: int | None = None,
        *,
        new: int = DEFAULT_PARTITIONS,
        compression: str | None = "lz4",
        replays: Path = _REPLAYS,
    ) -> None:
        """Connect to the topic, and make it if there is none.

        Args:
            connection: the connection to its brokers.
            topic: its name.
            partitions: the required number of partitions; None takes the existing number, or `new`.
            new: the number of partitions of a topic that is not there yet.
            compression: gzip, snappy, lz4 or zstd; None for no compression.
            replays: the folder of all topics' notes.

        Raises:
            TopicError: the topic has another number of partitions, or the brokers refuse or do not answer.
            LogLockedError: another replay into the topic runs on this machine.
        """
        self.name = f"topic {topic} of {connection.brokers}"
        self._topic = topic
        self._failure: Exception | None = None
        with (
            _consumer(connection) as (consumer, cluster),
            as_topic_errors(f"topic {topic}", connection),
            ExitStack() as stack,
        ):
            self.partitions = _find_or_create(connection, consumer, topic, partitions, new)
            # Brokers before 2.8 give topics no id: a checksum of their addresses is used instead.
            topic_id = cluster.topic_id(topic)
            identity = topic_id.hex if topic_id else format(crc32(connection.brokers.encode()), "08x")
            self.notes = replays / f"{topic}-{identity}"
            stack.enter_context(_locked(self.notes, topic))
            self._ends, self._last = _ends(consumer, topic, self.partitions)
            self._producer, _ = connect(KafkaProducer, connection, compression_type=compression, **_PRODUCER)
            self._lock = stack.pop_all()

    def lengths(self) -> list[int]:
        """Return the end offsets, see `ReplayTarget.lengths`."""
        return list(self._ends)

    def last_records(self) -> list[bytes]:
        """Return the last record of each partition, see `ReplayTarget.last_records`."""
        return self._last

    def append(self, behaviors: Sequence[UserBehavior]) -> None:
        """Send the behaviours, and wait until all are acknowledged.

        Raises:
            ProduceError: the brokers refuse a record, or none answers within 60 s.
            ReplayMismatchError: another producer appends to the topic too.
        """
        try:
            sent = [self._send(behavior) for behavior in behaviors]
            # flush() raises it for a batch that was too long and is sent in parts; the records' futures are right.
            with suppress(UnknownError):
                self._producer.flush(_ACKNOWLEDGE_S)
            acknowledged = [future.get(_ACKNOWLEDGE_S) for future in sent]
        except KafkaError as error:
            reason = self._failure or error
            msg = f"{self.name}: {reason}\nWhat was acknowledged stays: {_GO_ON}"
            raise ProduceError(msg) from reason
        for record in acknowledged:
            if record.offset != self._ends[record.partition]:
                msg = (
                    f"{self.name}, partition {record.partition}: another producer appends at the same time. Stop it "
                    f"and replay into another topic, or remove {self.notes} and append the data set once more"
                )
                raise ReplayMismatchError(msg)
            self._ends[record.partition] += 1

    def close(self) -> None:
        """End the producer within 5 s, and release the lock for other replays."""
        with suppress(KafkaError):
            self._producer.close(_CLOSE_S)
        # KafkaProducer.close leaves its thread running if records are left.
        self._producer._sender.force_close()
        self._producer._sender.join(_CLOSE_S)
        self._lock.close()

    def _send(self, behavior: UserBehavior) -> Any:
        key = behavior.user_id.encode()
        partition = stable_hash(behavior.user_id) % self.partitions
        sent = self._producer.send(self._topic, encode_behavior(behavior), key, partition=partition)
        return sent.add_errback(self._stop)

    def _stop(self, error: Exception) -> None:
        """Stop the producer, on its own thread, after a failed record: records behind it must not be sent."""
        if self._failure is None:
            self._failure = error
            self._producer._sender.force_close()


_GO_ON = "when the reason is gone, the same command goes on from there"


def _find_or_create(connection: KafkaConnection, consumer: Any, topic: str, wanted: int | None, new: int) -> int:
    """Return the topic's number of partitions; make the topic if there is none.

    Raises:
        TopicError: another number is wanted, or the brokers do not report the new topic.
    """
    if not (there := len(consumer.partitions_for_topic(topic))):
        create_topic(connection, topic, wanted or new)
        there = wait_until(
            lambda: len(consumer.partitions_for_topic(topic)), timeout_s=_ANSWER_MS / 1000, poll_s=_RETRY_S
        )
        if not there:
            msg = f"topic {topic} was made, but the brokers do not tell of it: try again"
            raise TopicError(msg)
    if wanted not in {None, there}:
        msg = f"topic {topic} has {there} partitions, not {wanted}: ask for as many, or use another topic"
        raise TopicError(msg)
    return there


def _ends(consumer: Any, topic: str, partitions: int) -> tuple[list[int], list[bytes]]:
    """Return each partition's end offset, and the record before it; b"" if that is gone, or no producer's record."""
    wanted = [TopicPartition(topic, partition) for partition in range(partitions)]
    ends = offsets_found(consumer.end_offsets, wanted, timeout_ms=_ANSWER_MS)
    begins = offsets_found(consumer.beginning_offsets, wanted, timeout_ms=_ANSWER_MS)
    last = dict.fromkeys(wanted, b"")
    unread = {tp for tp in wanted if ends[tp] > begins[tp]}
    consumer.assign(list(unread))
    for tp in unread:
        consumer.seek(tp, ends[tp] - 1)
    for _ in polls(timeout_s=_ANSWER_MS / 1000, poll_s=0):  # the consumer's poll waits
        if not unread:
            break
        for tp, records in consumer.poll(timeout_ms=50).items():
            last[tp] = (records[0].value or b"") if records[0].offset == ends[tp] - 1 else b""
        unread = {tp for tp in unread if consumer.position(tp, timeout_ms=_ANSWER_MS) < ends[tp]}
    if unread:
        msg = f"topic {topic}: its last records could not be read within {_ANSWER_MS // 1000} s: try again"
        raise TopicError(msg)
    return [ends[tp] for tp in wanted], [last[tp] for tp in wanted]


@contextmanager
def _locked(folder: Path, topic: str) -> Iterator[None]:
    """Make the folder, and hold its lock during the block.

    Raises:
        LogLockedError: another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("wb") as file:
        if not try_lock(file):
            msg = f"another replay into topic {topic} runs: let it end, or use another topic"
            raise LogLockedError(msg)
        yield


@contextmanager
def _consumer(connection: KafkaConnection) -> Iterator[tuple[Any, Any]]:
    with as_topic_errors("Kafka", connection, reached=False):
        consumer, cluster = connect(KafkaConsumer, connection, enable_auto_commit=False)
    with closing(consumer):
        yield consumer, cluster
