"""Reading a topic of a real broker: every record once and in order, whatever brokers, producers and retention do."""

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from job.kafka.broker import RunningBroker, start
from job.kafka.topics import create_topic, group_lags
from tests.kafka.fixtures import broker_spec, produce
from tests.kafka.reading import read, until, values
from udfs.kafka.connection import KafkaConnection
from udfs.log.kafka_log import KafkaLog, KafkaLogReader
from udfs.log.parsing import LogRecord, Reason
from udfs.log.partition_buffer import MAX_BYTES
from udfs.log.reader import LogReplacedError, OffsetsGoneError, Poll

pytestmark = [pytest.mark.cluster, pytest.mark.slow]


@pytest.fixture
def log(broker: RunningBroker, topic: str) -> KafkaLog:
    return KafkaLog(
        connection=KafkaConnection(brokers=broker.bootstrap),
        topic=topic,
        group=f"group-of-{topic}",
        start_offsets=(),
        skip_gone=False,
    )


@pytest.fixture
def reader(log: KafkaLog) -> Iterator[KafkaLogReader]:
    with closing(log.open()) as reader:
        yield reader


def admin(log: KafkaLog) -> Any:
    from kafka import KafkaAdminClient

    return closing(KafkaAdminClient(bootstrap_servers=log.connection.brokers))


def test_records_come_in_order_with_their_offsets_and_times(
    broker: RunningBroker, log: KafkaLog, reader: KafkaLogReader
) -> None:
    before_ms = int(time.time() * 1000)
    produce(broker, log.topic, 0, [b"%d" % n for n in range(3_000)])
    records, poll = read(reader, 3_000)
    assert values(records) == [b"%d" % n for n in range(3_000)]
    assert [record.offset for record in records] == list(range(3_000))
    assert poll.next_offset == 3_000
    assert all(record.appended_at and record.appended_at >= before_ms for record in records)
    assert reader.partitions() == 2
    assert reader.silent_ms() == 0


def test_partitions_that_are_polled_at_different_speeds_are_read_to_their_ends(
    broker: RunningBroker, log: KafkaLog, reader: KafkaLogReader
) -> None:
    for partition in (0, 1):
        produce(broker, log.topic, partition, [b"%d" % n for n in range(60_000)])
    places = {partition: Poll([], 0, b"", more=False) for partition in (0, 1)}
    found: dict[int, list[int]] = {0: [], 1: []}

    def read_on(partition: int, limit: int) -> None:
        before = places[partition]
        places[partition] = reader.poll(partition, before.next_offset, before.cursor, limit)
        found[partition] += [record.offset for record in places[partition].records]

    def at_their_ends() -> bool:
        read_on(0, 512)
        read_on(1, 64)
        return all(place.next_offset == 60_000 for place in places.values())

    until(at_their_ends)
    assert found == {0: list(range(60_000)), 1: list(range(60_000))}


@pytest.mark.parametrize("compression", ["gzip", "snappy", "lz4", "zstd"])
def test_every_compression_is_read(
    broker: RunningBroker, log: KafkaLog, reader: KafkaLogReader, compression: str
) -> None:
    produce(broker, log.topic, 0, [b"x" * 1000] * 10, compression_type=compression)
    assert values(read(reader, 10)[0]) == [b"x" * 1000] * 10


def test_a_tombstone_and_a_long_record_are_told_as_such(
    broker: RunningBroker, log: KafkaLog, reader: KafkaLogReader
) -> None:
    with admin(log) as client:
        from kafka.admin import ConfigResource

        client.alter_configs([ConfigResource("topic", log.topic, configs={"max.message.bytes": "3000000"})])
    produce(broker, log.topic, 0, [None, b"y" * 2_000_000, b"after"], max_request_size=3_000_000)
    (tombstone, long, after), _ = read(reader, 3)
    assert tombstone.problem is not None
    assert tombstone.problem.reason is Reason.TOMBSTONE
    assert (long.size, len(long.raw)) == (2_000_000, 64 * 1024)
    assert after.raw == b"after"


def test_only_committed_transactions_are_read_and_their_marks_are_stepped_over(
    broker: RunningBroker, log: KafkaLog, reader: KafkaLogReader
) -> None:
    from kafka import KafkaProducer

    producer = KafkaProducer(bootstrap_servers=broker.bootstrap, transactional_id=log.topic)
    producer.init_transactions()
    for value, is_good in ((b"kept", True), (b"aborted", False), (b"kept too", True)):
        producer.begin_transaction()
        producer.send(log.topic, value, partition=0)
        producer.flush()
        producer.commit_transaction() if is_good else producer.abort_transaction()
    producer.close()
    records, poll = read(reader, 2)
    assert values(records) == [b"kept", b"kept too"]
    until(lambda: reader.poll(0, poll.next_offset, poll.cursor, 1).next_offset == 6)


def test_reading_goes_on_where_another_reader_stopped(broker: RunningBroker, log: KafkaLog) -> None:
    produce(broker, log.topic, 0, [b"a", b"b", b"c"])
    with closing(log.open()) as first:
        until(lambda: first.poll(0, 0, b"", 2).cursor)
    with closing(log.open()) as first:
        poll = until(lambda: (poll := first.poll(0, 0, b"", 2)).records and poll)
        assert values(poll.records) == [b"a", b"b"]
    with closing(log.open()) as second:
        assert values(read(second, 1, after=poll)[0]) == [b"c"]


def test_start_offsets_hold_for_the_partitions_that_have_one(broker: RunningBroker, log: KafkaLog) -> None:
    for partition in (0, 1):
        produce(broker, log.topic, partition, [b"old", b"new"])
    with closing(replace(log, start_offsets=(1,)).open()) as reader:
        assert values(read(reader, 1, partition=0)[0]) == [b"new"]
        assert values(read(reader, 2, partition=1)[0]) == [b"old", b"new"]


def test_partitions_that_are_added_are_seen_and_read_from_their_beginning(
    broker: RunningBroker, log: KafkaLog, reader: KafkaLogReader
) -> None:
    from kafka.admin import NewPartitions

    until(lambda: reader.partitions() == 2)
    with admin(log) as client:
        client.create_partitions({log.topic: NewPartitions(total_count=3)})
    produce(broker, log.topic, 2, [b"first"])
    until(lambda: reader.partitions() == 3)
    assert values(read(reader, 1, partition=2)[0]) == [b"first"]


def test_removed_offsets_are_an_error_that_names_them_or_a_record_that_counts_them(
    broker: RunningBroker, log: KafkaLog
) -> None:
    from kafka import TopicPartition

    produce(broker, log.topic, 0, [b"%d" % n for n in range(10)])
    with closing(log.open()) as reader:
        _, seen = read(reader, 1, after=Poll([], 0, b"", more=False))
    seen = replace(seen, next_offset=2)
    with admin(log) as client:
        client.delete_records({TopicPartition(log.topic, 0): 7})
    with (
        closing(log.open()) as reader,
        pytest.raises(OffsetsGoneError, match=rf"{log.topic}, partition 0: .* is 2, .* 7"),
    ):
        read(reader, 1, after=seen)
    with closing(replace(log, skip_gone=True).open()) as reader:
        records, _ = read(reader, 4, after=seen)
    assert records[0].offset == 2
    assert records[0].problem is not None
    assert (records[0].problem.reason, records[0].problem.offsets) == (Reason.OFFSETS_GONE, 5)
    assert values(records[1:]) == [b"7", b"8", b"9"]


def test_offsets_removed_while_the_topic_is_read_are_stepped_over_and_counted(
    broker: RunningBroker, log: KafkaLog
) -> None:
    from kafka import TopicPartition

    produce(broker, log.topic, 0, [b"0"])
    with closing(replace(log, skip_gone=True).open()) as reader:
        _, seen = read(reader, 1)
        # With its buffer full the fetching thread stands still.
        fat = LogRecord(0, 0, b"x" * MAX_BYTES, MAX_BYTES)
        reader._fetcher.buffers[0].put([fat], 1)
        time.sleep(1)
        produce(broker, log.topic, 0, [b"%d" % n for n in range(1, 10)])
        with admin(log) as client:
            client.delete_records({TopicPartition(log.topic, 0): 7})
        records, _ = read(reader, 5, after=seen)
    assert values(records) == [fat.raw, b"", b"7", b"8", b"9"]
    assert records[1].problem is not None
    assert (records[1].offset, records[1].problem.offsets) == (1, 6)


def test_a_topic_made_anew_while_it_is_read_is_told(broker: RunningBroker, log: KafkaLog) -> None:
    produce(broker, log.topic, 0, [b"a", b"b"])
    with closing(log.open()) as reader:
        _, seen = read(reader, 2)
        with admin(log) as client:
            client.delete_topics([log.topic])
        until(lambda: made_anew(log))
        produce(broker, log.topic, 0, [b"%d" % n for n in range(10)])
        with pytest.raises(LogReplacedError, match=r"made anew|no longer there"):
            read(reader, 100, after=seen)


def test_a_topic_made_anew_is_never_read_on(broker: RunningBroker, log: KafkaLog) -> None:
    produce(broker, log.topic, 0, [b"a", b"b"])
    with closing(log.open()) as reader:
        _, seen = read(reader, 2)
    with admin(log) as client:
        client.delete_topics([log.topic])
    until(lambda: made_anew(log))
    produce(broker, log.topic, 0, [b"%d" % n for n in range(10)])
    with closing(replace(log, skip_gone=True).open()) as reader, pytest.raises(LogReplacedError, match="made anew"):
        read(reader, 1, after=seen)


def made_anew(log: KafkaLog) -> bool:
    from kafka.errors import KafkaError

    from job.kafka.errors import TopicError

    try:
        create_topic(KafkaConnection(brokers=log.connection.brokers), log.topic, 2)
    except (TopicError, KafkaError):
        return False
    return True


def test_the_group_is_told_how_far_the_poller_is(broker: RunningBroker, log: KafkaLog) -> None:
    produce(broker, log.topic, 0, [b"%d" % n for n in range(600)])
    with closing(log.open()) as reader:
        until(lambda: reader.poll(0, 0, b"", 512).records)
    (told,) = group_lags(KafkaConnection(brokers=broker.bootstrap), log.group)
    assert (told.topic, told.partition, told.committed, told.lag) == (log.topic, 0, 512, 88)


def test_a_broker_away_is_waited_for_and_told(tmp_path: Path) -> None:
    spec = broker_spec(tmp_path)
    broker = start(spec, timeout_s=60)
    create_topic(KafkaConnection(brokers=broker.bootstrap), "lasting", 1)
    produce(broker, "lasting", 0, [b"before"])
    log = KafkaLog(
        connection=KafkaConnection(brokers=broker.bootstrap),
        topic="lasting",
        group="recloop",
        start_offsets=(),
        skip_gone=False,
    )
    with closing(log.open()) as reader:
        _, poll = read(reader, 1)
        broker.kill()
        until(lambda: reader.silent_ms() > 3_000)
        assert reader.poll(0, poll.next_offset, poll.cursor, 1).records == []
        broker = start(spec, timeout_s=60)
        try:
            produce(broker, "lasting", 0, [b"after"])
            assert values(read(reader, 1, after=poll)[0]) == [b"after"]
            assert reader.silent_ms() == 0
        finally:
            broker.stop()


def test_nobody_there_at_the_start_is_waited_for_too() -> None:
    with closing(
        KafkaLog(
            connection=KafkaConnection(brokers="127.0.0.1:1"),
            topic="none",
            group="recloop",
            start_offsets=(),
            skip_gone=False,
        ).open()
    ) as reader:
        assert reader.poll(0, 0, b"", 1) == Poll([], 0, b"", more=False)
        until(lambda: reader.silent_ms() > 2_000)
        assert reader.partitions() == 0
