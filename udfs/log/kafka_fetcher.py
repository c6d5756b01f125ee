"""A thread that fetches the wanted partitions of a topic into bounded buffers.

Brokers that are away are waited for, as long as it takes: the buffers stay empty, and `silent_ms` returns for how
long. What can't be waited out (offsets that are gone, a topic made anew, a refusal) ends the thread, and is raised
where records are asked for.
"""

import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import Any, NamedTuple

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import (
    KafkaError,
    LogTruncationError,
    OffsetOutOfRangeError,
    RetriableError,
    TopicAuthorizationFailedError,
)

from udfs.errors import LogError
from udfs.kafka.client import connect, offsets_found, refusal
from udfs.kafka.connection import KafkaConnection
from udfs.log.kafka_gaps import TransactionOffsets
from udfs.log.kafka_records import UNKNOWN_TOPIC_ID, log_record
from udfs.log.parsing import LogRecord, Problem, Reason
from udfs.log.partition_buffer import PartitionBuffer
from udfs.log.reader import LogRefusedError, LogReplacedError, OffsetsGoneError

_ANEW = "deploy with --fresh to begin again"
_POLL_MS = 50
"""Longest wait for records, or for the first partition that is wanted; what is wanted next is taken up after it."""
_POLL_RECORDS = 2_048
_FULL_S = 0.005
"""Time until full buffers are checked again."""
_ANSWER_MS = 10_000
"""Longest wait for brokers' answer about the offsets that are there."""
_RETRY_S = 0.5
_CLOSE_S = 5.0
_METADATA_MS = 1_000
"""Interval at which brokers are asked about the topic: for new partitions, and as a sign of life."""
_OPTIONS = {
    "auto_offset_reset": "none",
    "enable_auto_commit": False,
    "isolation_level": "read_committed",
    "metadata_max_age_ms": _METADATA_MS,
    "max_poll_records": _POLL_RECORDS,
}
# It logs every refresh at INFO.
logging.getLogger("kafka").setLevel(logging.WARNING)
_log = logging.getLogger(__name__)


class _Wanted(NamedTuple):
    """A partition, and the place from which it is to be read on.

    Attributes:
        partition: its number.
        next_offset: of no meaning where the cursor is empty.
        cursor: the topic's id when it was read last; b"" begins with the oldest record.
    """

    partition: int
    next_offset: int
    cursor: bytes


class KafkaFetcher:
    """The consumer of one subtask.

    Raises, from `raise_failure`:
        LogReplacedError: the topic was made anew, or holds less than was read of it.
        OffsetsGoneError: retention removed records before they were read, and they may not be skipped.
        LogRefusedError: the brokers refuse, or a record can't be decoded.
        SecretMissingError: a secret or certificate that they ask for is not there.

    Attributes:
        partitions: number of the topic's partitions; 0 until a broker reports it.
        buffers: partition -> its buffer, from when its place is known.
    """

    def __init__(self, connection: KafkaConnection, topic: str, *, skip_gone: bool) -> None:
        """Begin to connect."""
        self.partitions = 0
        self.buffers: dict[int, PartitionBuffer] = {}
        self._connection = connection
        self._topic = topic
        self._skip_gone = skip_gone
        self._asked: set[int] = set()
        self._queue: SimpleQueue[_Wanted] = SimpleQueue()
        self._waiting: list[_Wanted] = []
        self._last_report = time.monotonic()
        self._topic_id: bytes | None = None
        self._made_anew = False
        self._failure: LogError | None = None
        self._transactions = TransactionOffsets()
        self._closed = Event()
        self._thread = Thread(target=self._run, name=f"fetch-{topic}", daemon=True)
        self._thread.start()

    def want(self, partition: int, next_offset: int, cursor: bytes) -> None:
        """Ask for a partition; asking again changes nothing."""
        if partition not in self._asked:
            self._asked.add(partition)
            self._queue.put(_Wanted(partition=partition, next_offset=next_offset, cursor=cursor))

    def raise_failure(self) -> None:
        """Raise what ended the thread, if something did."""
        if self._failure is not None:
            raise self._failure

    def silent_ms(self) -> int:
        """Return for how long no broker has reported on the topic; up to two refreshes count as 0."""
        silent_ms = int((time.monotonic() - self._last_report) * 1000)
        return silent_ms if silent_ms > 2 * _METADATA_MS else 0

    def close(self) -> None:
        """End the thread and its connections, within 5 s."""
        self._closed.set()
        self._thread.join(_CLOSE_S)

    def _run(self) -> None:
        try:
            self._fetch()
        except LogError as error:
            self._failure = error
        except KafkaError as error:
            msg = f"topic {self._topic} of {self._connection.brokers} can't be read: {error!r}"
            self._failure = LogRefusedError(msg)
            self._failure.__cause__ = error
        except Exception as error:  # raised again on the task's own thread
            self._failure = LogError(f"reading topic {self._topic} failed: {error!r}")
            self._failure.__cause__ = error

    def _fetch(self) -> None:
        consumer, cluster = self._connected()
        if consumer is None:
            return
        try:
            while not self._closed.is_set():
                try:
                    self._turn(consumer, cluster)
                except OffsetOutOfRangeError as error:
                    self._step_over(consumer, error.args[0])
                except LogTruncationError as error:
                    msg = f"topic {self._topic}: records that were read are no longer there: {_ANEW}"
                    raise LogReplacedError(msg) from error
                except RetriableError as error:
                    _log.info("topic %s: %r, trying again", self._topic, error)
                    self._closed.wait(_RETRY_S)
        finally:
            consumer.close(autocommit=False, timeout_ms=_CLOSE_S * 1000)

    def _connected(self) -> tuple[Any, Any]:
        """Return a consumer and its view of the cluster, once a broker answered; None for both if closed before."""
        while not self._closed.is_set():
            try:
                consumer, cluster = connect(KafkaConsumer, self._connection, **_OPTIONS)
            except RetriableError as error:
                _log.warning("no broker of %s answers: %r", self._connection.brokers, error)
                continue
            self._transactions.watch(consumer)
            cluster.add_listener(self._on_metadata)
            cluster.add_topic(self._topic)
            return consumer, cluster
        return None, None

    def _on_metadata(self, cluster: Any) -> None:
        """Take note of an answer about the cluster; a topic that is not in it (any more) counts as silence."""
        found = cluster.topic_id(self._topic)  # None with brokers before 2.8
        topic_id = None if found is None else bytes(found.bytes)
        self._made_anew |= None not in {topic_id, self._topic_id} and topic_id != self._topic_id
        self._topic_id = topic_id or self._topic_id
        if numbers := cluster.partitions_for_topic(self._topic):
            self._last_report = time.monotonic()
            self.partitions = len(numbers)

    def _turn(self, consumer: Any, cluster: Any) -> None:
        """Check that the topic is the same and may be read, take up what is wanted, and fetch once."""
        if self._made_anew:
            msg = f"topic {self._topic} was made anew while it was read: {_ANEW}"
            raise LogReplacedError(msg)
        if self._topic in cluster.unauthorized_topics:
            raise TopicAuthorizationFailedError({self._topic})
        if (refused := refusal(cluster)) is not None:
            raise refused
        self._take_up(consumer, cluster)
        # A single full partition is not paused: kafka-python 3.0.12 may never read on what it had parked meanwhile.
        if not self.buffers or any(buffer.is_full for buffer in self.buffers.values()):
            self._closed.wait(_FULL_S if self.buffers else _POLL_MS / 1000)
            return
        for tp, records in consumer.poll(timeout_ms=_POLL_MS, max_records=_POLL_RECORDS).items():
            buffer = self.buffers[tp.partition]
            fetched = [log_record(each.partition, each.offset, each.timestamp, each.value) for each in records]
            buffer.put(list(self._with_gaps(buffer.next_offset, fetched)), records[-1].offset + 1)
        for tp in consumer.assignment():
            # Beyond the last record where transactions were aborted, or ended, or compaction removed the last ones.
            buffer = self.buffers[tp.partition]
            if (position := consumer.position(tp, timeout_ms=0)) is not None and position > buffer.next_offset:
                buffer.put(list(self._gap(tp.partition, buffer.next_offset, position)), position)

    def _with_gaps(self, next_offset: int, records: Sequence[LogRecord]) -> Iterator[LogRecord]:
        """Yield the records, and before each that follows removed ones a record that reports these."""
        for record in records:
            if record.offset > next_offset:
                yield from self._gap(record.partition, next_offset, record.offset)
            yield record
            next_offset = record.offset + 1

    def _gap(self, partition: int, begin: int, end: int) -> Iterator[LogRecord]:
        offsets, first = self._transactions.removed(partition, begin, end)
        if offsets:
            detail = (
                f"topic {self._topic}, partition {partition}: {offsets} of the offsets {begin} to {end - 1} hold no "
                "record, and no transaction had them: compaction removed them unread; set cleanup.policy=delete"
            )
            problem = Problem(reason=Reason.OFFSETS_GONE, detail=detail, offsets=offsets)
            yield LogRecord(partition=partition, offset=first, raw=b"", size=0, problem=problem)

    def _take_up(self, consumer: Any, cluster: Any) -> None:
        """Begin with the partitions that are newly wanted and that a broker leads; others wait until one does."""
        with suppress(Empty):
            while True:
                self._waiting.append(self._queue.get_nowait())
        led = cluster.available_partitions_for_topic(self._topic) or ()
        ready = [wanted for wanted in self._waiting if wanted.partition in led]
        if not ready:
            return
        topic_id = self._topic_id or UNKNOWN_TOPIC_ID
        bounds = self._bounds(consumer, (wanted.partition for wanted in ready))
        buffers = {wanted.partition: self._buffer_for(wanted, topic_id, *bounds[wanted.partition]) for wanted in ready}
        consumer.assign([*consumer.assignment(), *map(self._tp, buffers)])
        for partition, buffer in buffers.items():
            consumer.seek(self._tp(partition), buffer.next_offset)
        self.buffers.update(buffers)
        self._waiting = [wanted for wanted in self._waiting if wanted not in ready]

    def _buffer_for(self, wanted: _Wanted, topic_id: bytes, begin: int, end: int) -> PartitionBuffer:
        """Return a buffer that begins where the partition is to be read on, if that is there."""
        if not wanted.cursor:
            return PartitionBuffer(begin, topic_id)
        known = {topic_id, wanted.cursor} - {UNKNOWN_TOPIC_ID}
        if len(known) > 1:
            msg = f"topic {self._topic} was made anew since it was read: {_ANEW}"
            raise LogReplacedError(msg)
        buffer = PartitionBuffer(wanted.next_offset, topic_id)
        self._check(buffer, wanted.partition, begin, end)
        return buffer

    def _step_over(self, consumer: Any, out_of_range: dict[Any, int]) -> None:
        """Go on where records begin, if those before may be skipped."""
        bounds = self._bounds(consumer, (tp.partition for tp in out_of_range))
        for tp in out_of_range:
            buffer = self.buffers[tp.partition]
            self._check(buffer, tp.partition, *bounds[tp.partition])
            consumer.seek(tp, buffer.next_offset)

    def _check(self, buffer: PartitionBuffer, partition: int, begin: int, end: int) -> None:
        """Check that the buffer's next offset is there, or step over it with a record that reports it."""
        offset = buffer.next_offset
        if offset > end:
            msg = f"topic {self._topic}, partition {partition}: ends at {end}, but was read up to {offset}: {_ANEW}"
            raise LogReplacedError(msg)
        if offset >= begin:
            return
        detail = f"topic {self._topic}, partition {partition}: offsets {offset} to {begin - 1} were removed unread"
        if not self._skip_gone:
            msg = f"{detail} (next to read is {offset}, the oldest there {begin}): set log.gone=skip to go on without"
            raise OffsetsGoneError(msg)
        _log.warning(detail)
        problem = Problem(reason=Reason.OFFSETS_GONE, detail=detail, offsets=begin - offset)
        buffer.put([LogRecord(partition=partition, offset=offset, raw=b"", size=0, problem=problem)], begin)

    def _bounds(self, consumer: Any, partitions: Iterable[int]) -> dict[int, tuple[int, int]]:
        """Return partition -> the oldest offset there, and the one after the newest that may be read."""
        wanted = [self._tp(partition) for partition in partitions]
        begins = offsets_found(consumer.beginning_offsets, wanted, timeout_ms=_ANSWER_MS)
        ends = offsets_found(consumer.end_offsets, wanted, timeout_ms=_ANSWER_MS)
        return {tp.partition: (begins[tp], ends[tp]) for tp in wanted}

    def _tp(self, partition: int) -> Any:
        return TopicPartition(self._topic, partition)
