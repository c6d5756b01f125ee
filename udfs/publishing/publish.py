"""publish-lists and publish-dead-letters: rows of a table as records of a Kafka topic, at least once.

An element is done when its records are acknowledged, and a checkpoint waits for all elements: what a checkpoint holds
was published. Brokers that are away hold the job up, and fail nothing.
"""

from collections.abc import Callable

from pyflink.datastream import AsyncFunction, RuntimeContext

from udfs.flink.collector import settle
from udfs.flink.worker_life import end_with_task_manager
from udfs.kafka.connection import KafkaConnection
from udfs.publishing.kafka_publisher import KafkaPublisher
from udfs.publishing.publication import OutRecord


class Publish(AsyncFunction):
    """An operator that publishes rows.

    In: rows of a table, one or more lines of JSON. Out: nothing.
    """

    def __init__(
        self, topic: str, connection: KafkaConnection, compression: str | None, to_record: Callable[[str], OutRecord]
    ) -> None:
        self._topic = topic
        self._connection = connection
        self._compression = compression
        self._to_record = to_record

    def open(self, _context: RuntimeContext) -> None:
        """Make the producer, which connects later: where brokers are away the task begins all the same."""
        end_with_task_manager()
        self._publisher = KafkaPublisher(self._topic, self._connection, self._compression)
        settle()

    def close(self) -> None:
        """Close the producer."""
        self._publisher.close()

    async def async_invoke(self, rows: str) -> list[str]:
        """Publish an element's rows.

        Raises:
            PublishError: brokers refuse, a record is too large, or the topic is not there.
        """
        await self._publisher.publish([self._to_record(row) for row in rows.split("\n")])
        return []
