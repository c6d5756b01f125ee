"""What is published arrives on a real broker as it should, waits for brokers, and says why it can't."""

import asyncio
import gc
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from job.kafka.broker import RunningBroker, start
from job.kafka.errors import TopicError
from job.kafka.published import make_topics_ready
from job.kafka.topics import cleanup_policy, create_topic, topics
from job.settings.job_settings import JobSettings, load
from tests.kafka.fixtures import broker_spec
from tests.kafka.published import consumed
from udfs.kafka.connection import KafkaConnection
from udfs.publishing.kafka_publisher import KafkaPublisher, PublishError
from udfs.publishing.publication import OutRecord

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.slow,
    # kafka-python leaves the sockets of failed connections to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@contextmanager
def publisher(bootstrap: str, topic: str) -> Iterator[KafkaPublisher]:
    with closing(KafkaPublisher(topic, KafkaConnection(brokers=bootstrap), "lz4")) as made:
        yield made


@pytest.fixture(autouse=True)
def _leftovers_are_this_test_s() -> Iterator[None]:
    yield
    gc.collect()


def record(text: str, place: int = 0) -> OutRecord:
    return OutRecord(b"key", text.encode(), place, [("n", text.encode())])


def settings(broker: RunningBroker, lists: str, letters: str) -> JobSettings:
    topics = [f"publish.lists_topic={lists}", f"publish.dead_letters_topic={letters}", "publish.partitions=3"]
    return load(overrides=["lists.policy=history", f"kafka.brokers={broker.bootstrap}", *topics])


def test_records_arrive_in_order_in_their_partition(broker: RunningBroker, topic: str) -> None:
    async def send() -> None:
        batches = ([record(f"{batch}.{n}", place=n) for n in range(4)] for batch in range(10))
        await asyncio.gather(*map(made.publish, batches))

    with publisher(broker.bootstrap, topic) as made:
        asyncio.run(send())
    found = consumed(broker.bootstrap, topic)
    for partition in (0, 1):
        wanted = [f"{batch}.{n}" for batch in range(10) for n in range(4) if n % 2 == partition]
        assert [each.value.decode() for each in found if each.partition == partition] == wanted
    assert [(each.key, each.headers) for each in found if each.value == b"3.1"] == [(b"key", [("n", b"3.1")])]


def test_what_a_broker_never_takes_is_told_with_its_topic(broker: RunningBroker) -> None:
    create_topic(KafkaConnection(brokers=broker.bootstrap), "small", 1, {"max.message.bytes": "1000"})
    with (
        publisher(broker.bootstrap, "small") as made,
        pytest.raises(PublishError, match=r"topic small of .* can't be written: .*MessageSizeTooLarge"),
    ):
        asyncio.run(made.publish([OutRecord(None, os.urandom(5_000), 0, [])]))


def test_a_topic_that_is_not_there_is_told(broker: RunningBroker) -> None:
    with publisher(broker.bootstrap, "nowhere") as made, pytest.raises(PublishError, match="there is no topic nowhere"):
        asyncio.run(made.publish([record("lost")]))


def test_records_wait_for_a_broker_that_is_away(tmp_path: Path) -> None:
    spec = broker_spec(tmp_path)
    broker = start(spec, timeout_s=60)
    create_topic(KafkaConnection(brokers=broker.bootstrap), "kept", 1)
    broker.kill()

    async def send() -> None:
        early = asyncio.ensure_future(made.publish([record("before it answered")]))
        done, _ = await asyncio.wait((early,), timeout=1)
        assert not done
        start(spec, timeout_s=60).kill()
        late = asyncio.ensure_future(made.publish([record("after")]))
        again = await asyncio.to_thread(start, spec, timeout_s=60)
        try:
            await asyncio.gather(early, late)
            assert [each.value for each in consumed(again.bootstrap, "kept")] == [b"before it answered", b"after"]
        finally:
            again.kill()

    with publisher(broker.bootstrap, "kept") as made:
        asyncio.run(send())


def test_topics_are_made_as_they_should_be_once(broker: RunningBroker) -> None:
    connection = KafkaConnection(brokers=broker.bootstrap)
    wanted = settings(broker, "made-lists", "made-letters")
    assert list(make_topics_ready(wanted)) == ["made-lists", "made-letters"]
    assert list(make_topics_ready(wanted)) == []
    assert {each.partitions for each in topics(connection) if each.name.startswith("made-")} == {3}
    assert cleanup_policy(connection, "made-lists") == "compact"
    assert cleanup_policy(connection, "made-letters") == "delete"


def test_topics_that_would_lose_records_are_refused(broker: RunningBroker) -> None:
    connection = KafkaConnection(brokers=broker.bootstrap)
    create_topic(connection, "forgetful", 1)
    create_topic(connection, "keyed-only", 1, {"cleanup.policy": "compact"})
    with pytest.raises(TopicError, match=r"topic forgetful has cleanup.policy=delete: .* Set that to compact"):
        list(make_topics_ready(settings(broker, "forgetful", "keyed-only")))
    with pytest.raises(TopicError, match=r"topic keyed-only has cleanup.policy=compact: .* Set that to delete"):
        list(make_topics_ready(settings(broker, "other-lists", "keyed-only")))
