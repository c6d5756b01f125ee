"""Polling a reader as poll-log does, until what is wanted is there."""

from collections.abc import Callable
from typing import Any

from tests.job.waiting import wait_until
from udfs.log.kafka_log import KafkaLogReader
from udfs.log.parsing import LogRecord
from udfs.log.reader import Poll

TIMEOUT_S = 30.0


def until(found: Callable[[], Any]) -> Any:
    return wait_until(found, timeout_s=TIMEOUT_S, what="what is read", poll_s=0.001)


def read(
    reader: KafkaLogReader, records: int, *, partition: int = 0, after: Poll | None = None
) -> tuple[list[LogRecord], Poll]:
    """At least so many records, each poll asking where the one before ended."""
    poll = after or Poll([], 0, b"", more=False)
    found: list[LogRecord] = []

    def enough() -> bool:
        nonlocal poll
        poll = reader.poll(partition, poll.next_offset, poll.cursor, 512)
        found.extend(poll.records)
        return len(found) >= records and bool(poll.cursor)

    until(enough)
    return found, poll


def values(records: list[LogRecord]) -> list[bytes]:
    return [record.raw for record in records]
