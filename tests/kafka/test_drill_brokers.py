"""The two brokers of a drill over Kafka, and the topic that it feeds: numbered by records, whatever else is in it."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from job.deployment.status import lags
from job.drills.brokers import Brokers, running_brokers, stop_brokers
from job.drills.run_log import NO_RECORD
from job.drills.topic_log import TopicLog, read_topic
from job.kafka.broker import find, start
from job.kafka.errors import BrokerFailedError, TopicError
from job.kafka.topics import leaderless, remove_records, topics
from job.settings.groups import ListSettings
from job.settings.job_settings import JobSettings
from job.trial import silent
from tests.job.waiting import wait_until
from tests.kafka.fixtures import broker_spec
from udfs.lists.list_rules import Policy
from udfs.log.kafka_log import KafkaLog, KafkaLogReader
from udfs.log.reader import Poll

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
PARTITIONS = 3
LINES = [[b"%d of %d" % (number, partition) for number in range(40)] for partition in range(PARTITIONS)]


@pytest.fixture
def brokers(tmp_path: Path) -> Iterator[Brokers]:
    broker_spec(tmp_path)  # skips without artifacts
    with running_brokers(tmp_path / "brokers", PARTITIONS, silent) as running:
        yield running
    assert find(running.first.directory) is None
    assert find(running.second.directory) is None


def appended(log: TopicLog, until: int) -> None:
    for partition, lines in enumerate(LINES):
        log.append(partition, lines[log.lengths()[partition] : until])
    wait_until(lambda: log.lengths() == [until] * PARTITIONS, timeout_s=60, what=f"{until} records acknowledged")


def without_leader(brokers: Brokers) -> list[int]:
    """None at first, while clients still ask the broker that is away."""
    try:
        return leaderless(brokers.connection, brokers.topic)
    except TopicError:
        return []


def log_of(brokers: Brokers) -> KafkaLog:
    return KafkaLog(
        connection=brokers.connection, topic=brokers.topic, group="recloop", start_offsets=(), skip_gone=False
    )


class Reading:
    """All partitions, each read on from where the poll before ended, as poll-log does."""

    def __init__(self, reader: KafkaLogReader) -> None:
        self._reader = reader
        self._polls = [Poll([], 0, b"", more=False) for _ in range(PARTITIONS)]
        self._records = [0] * PARTITIONS

    def on(self) -> list[int]:
        for partition, poll in enumerate(self._polls):
            found = self._reader.poll(partition, poll.next_offset, poll.cursor, 512)
            self._polls[partition] = found
            self._records[partition] += len(found.records)
        return self._records


def test_records_keep_their_numbers_behind_an_aborted_transaction_and_removed_records(brokers: Brokers) -> None:
    from kafka import KafkaProducer

    assert {(topic.name, topic.partitions) for topic in topics(brokers.connection)} == {
        ("behaviors", PARTITIONS),
        ("lists", PARTITIONS),
    }
    with closing(TopicLog(brokers.connection, brokers.topic, PARTITIONS)) as log:
        appended(log, 10)
        assert log.holds(LINES)
        with closing(KafkaProducer(bootstrap_servers=brokers.addresses, transactional_id="t")) as producer:
            producer.init_transactions()
            producer.begin_transaction()
            producer.send(brokers.topic, b"never", partition=1)
            producer.flush()
            appended(log, 20)
            producer.abort_transaction()
        appended(log, 30)
        committed = [record for record in read_topic(brokers.connection, brokers.topic) if record.partition == 1]
        offsets = [record.offset for record in committed]
        assert offsets == [*range(10), *range(11, 21), *range(22, 32)]
        assert [log.number_of(1, offset) for offset in offsets] == list(range(30))
        assert [log.number_of(1, offset) for offset in (10, 21, 99)] == [NO_RECORD] * 3
        assert log.holds(LINES)
        remove_records(brokers.connection, brokers.topic, {1: 15})
        assert log.holds(LINES)
        assert not log.holds([LINES[0], LINES[0], LINES[2]])


def test_a_partition_without_a_leader_takes_records_when_its_broker_is_back(brokers: Brokers) -> None:
    with closing(TopicLog(brokers.connection, brokers.topic, PARTITIONS)) as log:
        appended(log, 10)
        assert leaderless(brokers.connection, brokers.topic) == []
        second = find(brokers.second.directory)
        assert second is not None
        second.kill()
        wait_until(lambda: without_leader(brokers) == [PARTITIONS - 1], timeout_s=60, what="no leader")
        for partition, lines in enumerate(LINES):
            log.append(partition, lines[10:20])
        wait_until(lambda: log.lengths()[:-1] == [20] * (PARTITIONS - 1), timeout_s=60, what="the others' records")
        assert log.lengths()[-1] == 10
        behaviors, kafka, _ = brokers.settings
        job = JobSettings(log=behaviors, kafka=kafka, lists=ListSettings(policy=Policy.HISTORY))
        assert lags(job, {}) == ([], "topic behaviors: partition 2 has no leader: bring the broker back that has it")
        with closing(log_of(brokers).open()) as reader:
            read = Reading(reader)
            wait_until(lambda: read.on() == [20] * (PARTITIONS - 1) + [0], timeout_s=60, what="what has a leader")
            brokers.restart(brokers.second)
            wait_until(lambda: read.on() == [20] * PARTITIONS, timeout_s=60, what="the rest")
        wait_until(lambda: log.lengths() == [20] * PARTITIONS, timeout_s=60, what="its records")
        assert log.holds(LINES)
        first = find(brokers.first.directory)
        assert first is not None
        first.kill()
        brokers.restart(brokers.first)
        appended(log, 40)
        assert log.holds(LINES)


def test_brokers_that_were_left_running_can_be_stopped(tmp_path: Path) -> None:
    spec = broker_spec(tmp_path / "brokers" / "first")
    start(spec, timeout_s=60)
    stop_brokers(tmp_path / "brokers")
    assert find(spec.directory) is None


def test_a_cluster_that_was_never_started_cannot_be_joined(tmp_path: Path) -> None:
    spec = replace(broker_spec(tmp_path / "second"), joins=tmp_path / "first")
    with pytest.raises(BrokerFailedError, match=r"no broker was started in .*first: start the one"):
        start(spec)
