"""What the tests on a real broker share; without a Maven client they are skipped."""

from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from job.kafka.artifacts import VERSION, has_maven
from job.kafka.broker import BrokerSpec, RunningBroker, start
from job.kafka.topics import create_topic
from udfs.kafka.connection import KafkaConnection

CACHE = Path(".recloop/cache").absolute()
_numbers = count()


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBroker]:
    """A single-node broker on free ports, shared by all tests that do not kill it."""
    running = start(broker_spec(tmp_path_factory.mktemp("broker")), timeout_s=60)
    yield running
    running.stop()


@pytest.fixture
def topic(broker: RunningBroker) -> str:
    """A topic of its own, of two partitions."""
    name = f"topic-{next(_numbers)}"
    create_topic(KafkaConnection(brokers=broker.bootstrap), name, 2)
    return name


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[BrokerSpec]:
    """A broker that may be killed; it runs at first, and is ended in the end."""
    spec = broker_spec(tmp_path / "broker")
    start(spec, timeout_s=60)
    yield spec
    start(spec, timeout_s=60).kill()


def broker_spec(directory: Path) -> BrokerSpec:
    """A broker from the project's own cache of artifacts."""
    if not has_maven() and not (CACHE / f"kafka-{VERSION}").is_dir():
        pytest.skip("needs a Maven client: a broker's artifacts are fetched with it")
    return BrokerSpec(directory, cache=CACHE, properties={"log.cleaner.backoff.ms": "200"})  # of compaction: 15 s


def produce(
    broker: RunningBroker,
    topic: str,
    partition: int,
    values: Sequence[bytes | None],
    at_ms: int | None = None,
    **options: Any,
) -> None:
    """Appends values to one partition, all with one time if it is given, and waits until they are acknowledged."""
    from kafka import KafkaProducer

    producer = KafkaProducer(bootstrap_servers=broker.bootstrap, **options)
    for value in values:
        producer.send(topic, value=value, key=b"key", partition=partition, timestamp_ms=at_ms)
    producer.flush()
    producer.close()
