"""Offsets without a record on a real broker: those that compaction removed are counted, those of transactions not."""

import time
from contextlib import closing

import pytest

from job.kafka.broker import RunningBroker
from job.kafka.topics import create_topic
from tests.kafka.fixtures import produce
from tests.kafka.reading import read, until, values
from udfs.kafka.connection import KafkaConnection
from udfs.log.kafka_log import KafkaLog
from udfs.log.parsing import LogRecord, Reason
from udfs.log.reader import Poll

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
RECORDS = 51
AT_ONCE = {
    "cleanup.policy": "compact",
    "min.cleanable.dirty.ratio": "0.001",
    "segment.ms": "100",
    "max.compaction.lag.ms": "200",
}


def gone(records: list[LogRecord]) -> list[tuple[int, int]]:
    """(offset, how many are gone) of the records that tell of removed ones."""
    found = [(record.offset, record.problem) for record in records if record.problem is not None]
    assert all(problem.reason is Reason.OFFSETS_GONE for _, problem in found)
    return [(offset, problem.offsets) for offset, problem in found]


def read_to_the_end(log: KafkaLog, end: int, after: Poll | None = None) -> list[LogRecord]:
    poll = after or Poll([], 0, b"", more=False)
    found: list[LogRecord] = []
    with closing(log.open()) as reader:

        def at_end() -> bool:
            nonlocal poll
            poll = reader.poll(0, poll.next_offset, poll.cursor, 7)
            found.extend(poll.records)
            return poll.next_offset == end

        until(at_end)
    return found


@pytest.fixture
def compacted(broker: RunningBroker) -> KafkaLog:
    """A topic of 51 records with one key, of which compaction left few."""
    connection = KafkaConnection(brokers=broker.bootstrap)
    name = f"compacted-{time.time_ns()}"
    create_topic(connection, name, 1, AT_ONCE)
    for value in range(RECORDS - 1):
        produce(broker, name, 0, [b"%d" % value])
    time.sleep(0.3)  # a segment is closed by the first record after so long
    produce(broker, name, 0, [b"last"])
    log = KafkaLog(connection=connection, topic=name, group="recloop", start_offsets=(), skip_gone=False)
    until(lambda: len(values_of(read_to_the_end(log, RECORDS))) < RECORDS // 2)
    return log


def values_of(records: list[LogRecord]) -> list[bytes]:
    return values([record for record in records if record.problem is None])


def test_every_offset_that_compaction_removed_is_counted_once(compacted: KafkaLog) -> None:
    records = read_to_the_end(compacted, RECORDS)
    kept = values_of(records)
    assert kept[-1] == b"last"
    assert sum(count for _, count in gone(records)) == RECORDS - len(kept)
    assert [record.offset for record in records] == sorted({record.offset for record in records})


def test_it_is_so_too_where_reading_goes_on_in_the_middle_of_the_gap(compacted: KafkaLog) -> None:
    with closing(compacted.open()) as reader:
        cursor = read(reader, 1)[1].cursor
    records = read_to_the_end(compacted, RECORDS, Poll([], 10, cursor, more=False))
    before = [record for record in read_to_the_end(compacted, RECORDS) if record.problem is None and record.offset < 10]
    assert before == []
    assert gone(records)[0][0] == 10
    assert sum(count for _, count in gone(records)) == RECORDS - 10 - len(values_of(records))


def test_of_transactions_none_is_counted(broker: RunningBroker, topic: str) -> None:
    from kafka import KafkaProducer

    log = KafkaLog(
        connection=KafkaConnection(brokers=broker.bootstrap),
        topic=topic,
        group="recloop",
        start_offsets=(),
        skip_gone=False,
    )
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap, transactional_id=topic, linger_ms=50)
    producer.init_transactions()
    for turn in range(30):
        producer.begin_transaction()
        for value in range(turn % 4 + 1):
            producer.send(topic, b"%d" % value, partition=0)
        producer.flush()
        producer.commit_transaction() if turn % 3 else producer.abort_transaction()
    producer.close()
    written = sum(turn % 4 + 1 for turn in range(30))
    records = read_to_the_end(log, written + 30)
    assert gone(records) == []
    assert len(records) == sum(turn % 4 + 1 for turn in range(30) if turn % 3)
