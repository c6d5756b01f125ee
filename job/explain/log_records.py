"""The records of certain places in the behaviour log, read anew without disturbing the job or its consumer group."""

from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

from job.explain.records import ExplainError
from job.settings.job_settings import JobSettings
from model.waiting import polls
from udfs.kafka.connection import KafkaConnection
from udfs.log.file_log import FileLogReader
from udfs.log.kafka_fetcher import KafkaFetcher
from udfs.log.kafka_records import UNKNOWN_TOPIC_ID
from udfs.log.parsing import LogRecord

Place = tuple[int, int]
"""Partition and offset."""
_AT_ONCE = 2_048
_SILENT_S = 20.0
_POLL_S = 0.005


def read_places(settings: JobSettings, places: Iterable[Place]) -> dict[Place, LogRecord]:
    """Return the records of these places; those that the log does not hold any more are left out.

    Raises:
        LogError: the log cannot be read.
        ExplainError: the topic's brokers do not answer.
    """
    wanted: dict[int, set[int]] = {}
    for partition, offset in places:
        wanted.setdefault(partition, set()).add(offset)
    log, found = settings.log, dict[Place, LogRecord]()
    for partition, offsets in wanted.items():
        records = (
            _of_files(log.folder, partition, max(offsets))
            if log.kind == "files"
            else _of_topic(settings.kafka.connection(), log.topic, partition, min(offsets), max(offsets))
        )
        found |= {(partition, each.offset): each for each in records if each.offset in offsets and not each.problem}
    return found


def _of_files(folder: Path, partition: int, last: int) -> Iterator[LogRecord]:
    """Yield the partition's records up to an offset, from its beginning: lines are found by counting them."""
    offset, cursor = 0, b""
    with closing(FileLogReader(folder)) as reader:
        while offset <= last:
            poll = reader.poll(partition, offset, cursor, _AT_ONCE)
            if not poll.records:
                return
            yield from poll.records
            offset, cursor = poll.next_offset, poll.cursor


def _of_topic(connection: KafkaConnection, topic: str, partition: int, first: int, last: int) -> Iterator[LogRecord]:
    """Yield the partition's records of these offsets, as far as retention left them."""
    with closing(KafkaFetcher(connection, topic, skip_gone=True)) as fetcher:
        fetcher.want(partition, first, UNKNOWN_TOPIC_ID)
        for _ in polls(timeout_s=_SILENT_S, poll_s=_POLL_S):
            fetcher.raise_failure()
            if (buffer := fetcher.buffers.get(partition)) is None:
                continue
            poll = buffer.take(_AT_ONCE)
            yield from (each for each in poll.records if each.offset <= last)
            if poll.next_offset > last:
                return
        msg = f"topic {topic} did not give the records up to {partition}:{last} in {_SILENT_S:g} s: is it reachable?"
        raise ExplainError(msg)
