"""The development broker starts, is found, ends without leftovers, and keeps its topics."""

from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from job.kafka.broker import BrokerSpec, RunningBroker, find, start
from job.kafka.errors import BrokerFailedError, GroupMissingError, TopicError
from job.kafka.topics import Topic, create_topic, end_offsets, group_lags, start_offsets, topics
from tests.job.waiting import wait_until
from tests.kafka.fixtures import broker_spec, produce
from udfs.kafka.connection import KafkaConnection

pytestmark = [pytest.mark.cluster, pytest.mark.slow]


def test_a_running_broker_is_found_in_its_folder(broker: RunningBroker) -> None:
    assert find(broker.directory) == broker
    assert start(BrokerSpec(broker.directory)) == broker


def test_topics_are_listed_with_what_they_hold(broker: RunningBroker, topic: str) -> None:
    produce(broker, topic, 1, [b"a", b"b"])
    client = KafkaConnection(brokers=broker.bootstrap)
    assert Topic(topic, 2, 2) in topics(client)
    assert end_offsets(client, topic) == {0: 0, 1: 2}


def test_a_topic_begins_where_it_is_said(broker: RunningBroker, topic: str) -> None:
    connection = KafkaConnection(brokers=broker.bootstrap)
    since = datetime(2026, 1, 31, 12, tzinfo=UTC)
    noon_ms = int(since.timestamp() * 1000)
    for times in ([noon_ms - 2, noon_ms - 1, noon_ms], [noon_ms - 1]):
        for time_ms in times:
            produce_at(broker, topic, 0 if len(times) > 1 else 1, time_ms)
    commit(broker, topic, "reader", {1: 1})
    assert start_offsets(connection, topic, "earliest", "reader") == ()
    assert start_offsets(connection, topic, "latest", "reader") == (3, 1)
    assert start_offsets(connection, topic, since, "reader") == (2, 1)
    assert start_offsets(connection, topic, "committed", "reader") == (0, 1)


def produce_at(broker: RunningBroker, topic: str, partition: int, time_ms: int) -> None:
    from kafka import KafkaProducer

    with closing(KafkaProducer(bootstrap_servers=broker.bootstrap)) as producer:
        producer.send(topic, b"value", partition=partition, timestamp_ms=time_ms).get(10)


def commit(broker: RunningBroker, topic: str, group: str, offsets: dict[int, int]) -> None:
    from kafka import KafkaAdminClient, TopicPartition
    from kafka.errors import CoordinatorNotAvailableError
    from kafka.structs import OffsetAndMetadata

    committed = {TopicPartition(topic, each): OffsetAndMetadata(at, "", -1) for each, at in offsets.items()}

    def done() -> bool:
        # The first group of a broker waits until the topic of groups is made.
        with suppress(CoordinatorNotAvailableError):
            admin.alter_group_offsets(group, committed)
            return True
        return False

    with closing(KafkaAdminClient(bootstrap_servers=broker.bootstrap)) as admin:
        wait_until(done, timeout_s=30, what="the group's coordinator")


def test_a_topic_that_is_there_or_is_not_is_told(broker: RunningBroker, topic: str) -> None:
    client = KafkaConnection(brokers=broker.bootstrap)
    with pytest.raises(TopicError, match="there already"):
        create_topic(client, topic, 2)
    with pytest.raises(TopicError, match="there is no topic nowhere"):
        end_offsets(client, "nowhere")


def test_a_group_that_never_read_is_an_error(broker: RunningBroker) -> None:
    with pytest.raises(GroupMissingError, match="no consumer group 'nobody'"):
        group_lags(KafkaConnection(brokers=broker.bootstrap), "nobody")


def test_a_wrong_property_is_told_by_the_log_s_line(tmp_path: Path) -> None:
    fit = broker_spec(tmp_path)
    wrong = BrokerSpec(fit.directory, cache=fit.cache, properties={"num.io.threads": "many"})
    with pytest.raises(BrokerFailedError, match=r"num\.io\.threads"):
        start(wrong)
    assert find(tmp_path) is None


@pytest.mark.slow
def test_stopped_and_started_again_it_has_its_port_and_topics(tmp_path: Path) -> None:
    spec = broker_spec(tmp_path)
    first = start(spec, timeout_s=60)
    create_topic(KafkaConnection(brokers=first.bootstrap), "kept", 1)
    first.stop()
    assert not psutil.pid_exists(first.pid)
    assert find(tmp_path) is None
    again = start(spec, timeout_s=60)
    try:
        assert again.bootstrap == first.bootstrap
        assert Topic("kept", 1, 0) in topics(KafkaConnection(brokers=again.bootstrap))
    finally:
        again.kill()
    assert find(tmp_path) is None
