"""Appending behaviours to the job's log: validated as the job would, and acknowledged with their places.

The embedded log has one writer at a time: its lock is taken for each append, so several servers and other writers take
turns. A topic takes any number of producers.
"""

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from kafka import KafkaProducer
from kafka.errors import KafkaError

from job.replay.log_writer import LogLockedError, PartitionWriter
from job.serving.errors import ServingError
from job.serving.history import Place
from model.datasets.json_lines import encode_behavior
from model.records import UserBehavior
from model.waiting import retry
from udfs.hashing import stable_hash
from udfs.kafka.client import connect
from udfs.kafka.connection import KafkaConnection
from udfs.log.file_log import partition_file, partitions_of

_LOCK_S = 2.0
"""Longest wait for another writer of the embedded log."""
_LOCK_POLL_S = 0.005
_ACKNOWLEDGE_S = 10.0
_READ_BYTES = 1 << 20
_PRODUCER = {
    "acks": "all",
    "enable_idempotence": True,
    "linger_ms": 0,
    "max_block_ms": 5_000,
    "request_timeout_ms": 8_000,
    "delivery_timeout_ms": 9_000,
    "metrics_enabled": False,
}


class AppendError(ServingError):
    """Behaviours that could not be appended now; what was not acknowledged may be sent again."""


class LogAppender(Protocol):
    """The writing end of a log."""

    async def append(self, behaviors: Sequence[UserBehavior]) -> list[Place]:
        """Append in the order given, and return the place of each.

        Raises:
            AppendError: the log could not be written; some may be in it all the same.
        """

    def close(self) -> None:
        """Close files and connections."""


class _End(NamedTuple):
    """A length of a partition's file, and how many lines that is."""

    size: int
    lines: int


class FilesAppender:
    """The embedded log's writing end; one thread writes, so appends of one server never wait for each other's lock."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ends: dict[int, _End] = {}
        self._executor = ThreadPoolExecutor(1, "append")

    async def append(self, behaviors: Sequence[UserBehavior]) -> list[Place]:
        """Append, see `LogAppender.append`; on return the operating system has all lines."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, self._append, behaviors)

    def close(self) -> None:
        """End the thread, after what it is appending."""
        self._executor.shutdown()

    def _append(self, behaviors: Sequence[UserBehavior]) -> list[Place]:
        count = partitions_of(self._folder)
        numbers = [stable_hash(each.user_id) % count for each in behaviors]
        places: dict[int, list[Place]] = {}
        for partition in sorted(set(numbers)):
            its_own = [each for each, number in zip(behaviors, numbers, strict=True) if number == partition]
            places[partition] = self._append_to(partition, its_own)
        each_next = {partition: iter(found) for partition, found in places.items()}
        return [next(each_next[number]) for number in numbers]

    def _append_to(self, partition: int, behaviors: Sequence[UserBehavior]) -> list[Place]:
        writer = self._locked(partition)
        try:
            first = self._length(partition)
            stamp = b',"appended_at":%d}' % int(time.time() * 1000)
            writer.append([encode_behavior(each)[:-1] + stamp for each in behaviors])
        except OSError as error:
            msg = f"the log {self._folder} could not be written: {error}"
            raise AppendError(msg) from error
        finally:
            writer.close()
        return [Place(partition, first + number) for number in range(len(behaviors))]

    def _locked(self, partition: int) -> PartitionWriter:
        """Return the writer that holds the partition's lock; wait a moment for another one."""
        try:
            return retry(
                lambda: PartitionWriter(self._folder, partition),
                LogLockedError,
                timeout_s=_LOCK_S,
                poll_s=_LOCK_POLL_S,
            )
        except LogLockedError as error:
            msg = f"another program writes the log {self._folder}: send the behaviours again when it is done"
            raise AppendError(msg) from error

    def _length(self, partition: int) -> int:
        """Return the number of the partition's lines; count only what came since the last time."""
        path = partition_file(self._folder, partition)
        end = self._ends.get(partition, _End(0, 0))
        with path.open("rb", buffering=0) as file:
            size = file.seek(0, 2)
            if size < end.size:
                end = _End(0, 0)  # another log is in its place
            file.seek(end.size)
            lines = end.lines
            while chunk := file.read(_READ_BYTES):
                lines += chunk.count(b"\n")
        self._ends[partition] = _End(size, lines)
        return lines


class TopicAppender:
    """A topic's writing end."""

    def __init__(self, connection: KafkaConnection, topic: str) -> None:
        self._connection = connection
        self._topic = topic
        self._producer: Any = None
        self._executor = ThreadPoolExecutor(1, "append")

    async def append(self, behaviors: Sequence[UserBehavior]) -> list[Place]:
        """Append, see `LogAppender.append`; on return all replicas in sync have every record."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, self._append, behaviors)

    def close(self) -> None:
        """End the thread and the producer."""
        self._executor.shutdown()
        if self._producer is not None:
            with suppress(KafkaError):
                self._producer.close(timeout=1)

    def _append(self, behaviors: Sequence[UserBehavior]) -> list[Place]:
        try:
            producer = self._connected()
            partitions = len(producer.partitions_for(self._topic) or ())
            if not partitions:
                msg = f"there is no topic {self._topic}: recloop deploy makes it"
                raise AppendError(msg)
            sent = [
                producer.send(
                    self._topic,
                    encode_behavior(each),
                    each.user_id.encode(),
                    partition=stable_hash(each.user_id) % partitions,
                )
                for each in behaviors
            ]
            acknowledged = [future.get(_ACKNOWLEDGE_S) for future in sent]
        except KafkaError as error:
            msg = f"topic {self._topic} of {self._connection.brokers} did not take the behaviours: {error!r}"
            raise AppendError(msg) from error
        return [Place(record.partition, record.offset) for record in acknowledged]

    def _connected(self) -> Any:
        if self._producer is None:
            self._producer, _ = connect(KafkaProducer, self._connection, **_PRODUCER)
        return self._producer
