"""A publisher of records to a Kafka topic from an event loop, done when all replicas in sync acknowledge them.

Brokers that are away are waited for, as long as it takes. What can't be waited out (a refusal, a record that is too
large, a topic that is not there) is raised. Records of one `publish` and of later ones keep their order.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Event, Lock
from typing import Any

from kafka import KafkaProducer
from kafka.errors import KafkaError, RetriableError

from model.errors import RecloopError
from udfs.kafka.client import connect, refusal
from udfs.kafka.connection import KafkaConnection
from udfs.publishing.publication import OutRecord

_FOR_EVER_MS = 2**31 - 1
_TOPIC_MS = 5_000
"""Longest wait for a topic's partitions; then brokers are away, or the topic is not there."""
_RETRY_S = 0.5
_CHECK_S = 1.0
"""Time between two checks whether brokers refuse, while acknowledgements are out."""
_CLOSE_S = 1.0
_OPTIONS = {
    "acks": "all",
    "enable_idempotence": True,
    "delivery_timeout_ms": _FOR_EVER_MS,
    "max_block_ms": _TOPIC_MS,
    # A full batch is as large as a request of 16 elements; records wait for no others: linger_ms is 0.
    "batch_size": 128 * 1024,
    "metrics_enabled": False,
}
_log = logging.getLogger(__name__)


class PublishError(RecloopError):
    """Records that can't be published; the text names the topic and the cause."""


class KafkaPublisher:
    """The producer of one subtask; it connects when there is something to send."""

    def __init__(self, topic: str, connection: KafkaConnection, compression: str | None) -> None:
        self._topic = topic
        self._connection = connection
        self._options = {**_OPTIONS, "compression_type": compression}
        self._producer: Any = None
        self._cluster: Any = None
        self._closed = Event()
        # One thread: records are handed to the producer in the order in which they came.
        self._executor = ThreadPoolExecutor(1, f"publish-{topic}")

    async def publish(self, records: Sequence[OutRecord]) -> None:
        """Send all records, and return when the brokers have them.

        Raises:
            PublishError: the records can't be published.
            SecretMissingError: a secret or certificate that the brokers ask for is not there.
        """
        loop = asyncio.get_running_loop()
        outcome = _Outcome(loop, len(records))
        try:
            await loop.run_in_executor(self._executor, self._send, records, outcome)
            while not (await asyncio.wait((outcome.future,), timeout=_CHECK_S))[0]:
                if (refused := refusal(self._cluster)) is not None:
                    raise refused
            outcome.future.result()
        except KafkaError as error:
            msg = f"topic {self._topic} of {self._connection.brokers} can't be written: {error!r}"
            raise PublishError(msg) from error
        finally:
            outcome.future.cancel()

    def close(self) -> None:
        """Close the connections, and give up what is not acknowledged yet."""
        self._closed.set()
        self._executor.shutdown(wait=False, cancel_futures=True)
        if self._producer is not None:
            self._producer._sender.force_close()
            with suppress(KafkaError):
                self._producer.close(timeout=_CLOSE_S)

    def _send(self, records: Sequence[OutRecord], outcome: "_Outcome") -> None:
        partitions = self._partitions()
        for record in records:
            sent = self._producer.send(
                self._topic, record.value, record.key, record.headers, partition=record.place % partitions
            )
            sent.add_callback(outcome.acknowledged)
            sent.add_errback(outcome.failed)

    def _partitions(self) -> int:
        """Return how many partitions there are now, as far as brokers have reported."""
        while not self._closed.is_set():
            try:
                return len(self._reported_partitions())
            except RetriableError as error:
                _log.warning("topic %s can't be reached at %s: %r", self._topic, self._connection.brokers, error)
                self._closed.wait(_RETRY_S)
        msg = f"topic {self._topic} could not be written before the job ended"
        raise PublishError(msg)

    def _reported_partitions(self) -> set[int]:
        if self._producer is None:
            self._producer, self._cluster = connect(KafkaProducer, self._connection, **self._options)
        began_ms = time.monotonic() * 1000
        try:
            found: set[int] = self._producer.partitions_for(self._topic)
        except RetriableError as error:
            if self._cluster._last_successful_refresh_ms < began_ms:
                raise
            msg = f"there is no topic {self._topic} at {self._connection.brokers}: recloop deploy makes it"
            raise PublishError(msg) from error
        return found


class _Outcome:
    """The acknowledgements of many records, each reported on the producer's thread, as one future of a loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, records: int) -> None:
        self.future: asyncio.Future[None] = loop.create_future()
        self._loop = loop
        self._left = records
        self._lock = Lock()

    def acknowledged(self, _place: Any) -> None:
        with self._lock:
            self._left -= 1
            done = self._left == 0
        if done:
            self._loop.call_soon_threadsafe(self._set, None)

    def failed(self, error: BaseException) -> None:
        self._loop.call_soon_threadsafe(self._set, error)

    def _set(self, error: BaseException | None) -> None:
        if self.future.done():
            return
        if error is None:
            self.future.set_result(None)
        else:
            self.future.set_exception(error)
