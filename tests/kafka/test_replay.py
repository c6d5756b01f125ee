"""A replay into a topic of a real broker: every behaviour once and in its place, whatever ends it and however often."""

import gc
import logging
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from job.kafka.broker import RunningBroker, start
from job.kafka.errors import ProduceError, TopicError
from job.kafka.topics import create_topic, end_offsets
from job.replay.log_writer import LogLockedError
from job.replay.replay import Pace, ReplayMismatchError, replay
from job.replay.topic_target import TopicTarget
from model.datasets.json_lines import encode_behavior
from model.datasets.prepared import Dataset, write_info
from model.records import UserBehavior
from tests.kafka.fixtures import broker_spec, produce
from tests.kafka.reading import until
from tests.unit.job.test_replay import dataset
from udfs.hashing import stable_hash
from udfs.kafka.connection import KafkaConnection

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.slow,
    # kafka-python leaves the sockets of failed connections to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

ROWS = [UserBehavior(f"u{n % 7}", "click", f"i{n}", 1_700_000_000_000 + n) for n in range(3_000)]


@pytest.fixture(autouse=True)
def _collect_sockets(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    # A kept log record keeps its connection, beyond this fixture.
    caplog.set_level(logging.CRITICAL, logger="kafka")
    yield
    gc.collect()


@pytest.fixture
def connection(broker: RunningBroker) -> KafkaConnection:
    return KafkaConnection(brokers=broker.bootstrap)


@pytest.fixture
def rows(tmp_path: Path) -> Dataset:
    made = dataset(tmp_path / "rows", ROWS, name="rows")
    write_info(made.path, made.info)
    return made


@pytest.fixture
def replays(tmp_path: Path) -> Path:
    return tmp_path / ".recloop" / "replays"


def held(connection: KafkaConnection, topic: str) -> list[list[tuple[bytes, bytes]]]:
    """Of each partition all keys and values."""
    from kafka import KafkaConsumer, TopicPartition

    ends = end_offsets(connection, topic)
    found: list[list[tuple[bytes, bytes]]] = [[] for _ in ends]
    with closing(KafkaConsumer(bootstrap_servers=connection.brokers, auto_offset_reset="earliest")) as consumer:
        consumer.assign([TopicPartition(topic, partition) for partition in ends])
        while sum(map(len, found)) < sum(ends.values()):
            for tp, records in consumer.poll(timeout_ms=100).items():
                found[tp.partition] += [(record.key, record.value) for record in records]
    return found


def expected(rows: list[UserBehavior], partitions: int) -> list[list[tuple[bytes, bytes]]]:
    found: list[list[tuple[bytes, bytes]]] = [[] for _ in range(partitions)]
    for row in rows:
        found[stable_hash(row.user_id) % partitions].append((row.user_id.encode(), encode_behavior(row)))
    return found


@pytest.mark.parametrize("compression", [None, "lz4"])
def test_a_missing_topic_is_made_and_holds_every_behavior_in_order_in_its_user_s_partition(
    connection: KafkaConnection, rows: Dataset, replays: Path, compression: str | None
) -> None:
    topic = f"made-{compression}"
    with TopicTarget(connection, topic, compression=compression, replays=replays) as target:
        done = replay(rows, target)
    assert (done.appended, done.before) == (3_000, 0)
    assert held(connection, topic) == expected(ROWS, 4)


def test_it_goes_on_behind_what_was_there_and_a_second_run_appends_nothing(
    broker: RunningBroker, connection: KafkaConnection, topic: str, rows: Dataset, replays: Path
) -> None:
    produce(broker, topic, 1, [b"before", None])
    counts = []
    for limit in (1_200, None, None):
        with TopicTarget(connection, topic, 2, replays=replays) as target:
            done = replay(rows, target, limit=limit)
        counts.append((done.before, done.appended))
    assert counts == [(0, 1_200), (1_200, 1_800), (3_000, 0)]
    before, wanted = [(b"key", b"before"), (b"key", None)], expected(ROWS, 2)
    assert held(connection, topic) == [wanted[0], before + wanted[1]]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_command_that_was_ended_goes_on_where_it_was(
    connection: KafkaConnection, topic: str, rows: Dataset, replays: Path, how: signal.Signals
) -> None:
    options = ["--to", "kafka", "--topic", topic, "--set", f"kafka.brokers={connection.brokers}"]
    command = [sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path}; from job.cli import main; main()"]
    running = subprocess.Popen(
        [*command, "replay", str(rows.path), *options, "--rate", "1500"], cwd=replays.parent.parent
    )
    until(lambda: sum(end_offsets(connection, topic).values()) > 200)
    running.send_signal(how)
    assert running.wait(30) == {signal.SIGINT: 130, signal.SIGKILL: -9}[how]
    with TopicTarget(connection, topic, replays=replays) as target:
        done = replay(rows, target)
    assert 200 < done.before < 3_000
    assert held(connection, topic) == expected(ROWS, 2)


def test_a_topic_that_something_else_appended_to_midway_is_refused(
    broker: RunningBroker, connection: KafkaConnection, topic: str, rows: Dataset, replays: Path
) -> None:
    with TopicTarget(connection, topic, replays=replays) as target:
        replay(rows, target, limit=500)
    produce(broker, topic, 0, [b"other"])
    with (
        TopicTarget(connection, topic, replays=replays) as target,
        pytest.raises(ReplayMismatchError, match=rf"replay-rows\.json tells .* topic {topic} .* remove it"),
    ):
        replay(rows, target)
    assert sum(end_offsets(connection, topic).values()) == 501


def test_another_producer_is_noticed_while_a_replay_runs(
    broker: RunningBroker, connection: KafkaConnection, topic: str, rows: Dataset, replays: Path
) -> None:
    with TopicTarget(connection, topic, replays=replays) as target:
        target.append(ROWS[:10])
        produce(broker, topic, 0, [b"other"])
        with pytest.raises(ReplayMismatchError, match=rf"topic {topic} .* partition 0: another producer"):
            target.append(ROWS[10:30])


def test_a_topic_is_replayed_into_by_one_at_a_time(connection: KafkaConnection, topic: str, replays: Path) -> None:
    with (
        TopicTarget(connection, topic, replays=replays),
        pytest.raises(LogLockedError, match=f"into topic {topic} runs"),
    ):
        TopicTarget(connection, topic, replays=replays)
    TopicTarget(connection, topic, replays=replays).close()


def test_another_number_of_partitions_is_refused(connection: KafkaConnection, topic: str, replays: Path) -> None:
    with pytest.raises(TopicError, match=rf"{topic} has 2 partitions, not 3: ask for as many"):
        TopicTarget(connection, topic, 3, replays=replays)


def test_a_topic_made_anew_is_begun_anew(connection: KafkaConnection, topic: str, rows: Dataset, replays: Path) -> None:
    with TopicTarget(connection, topic, replays=replays) as target:
        replay(rows, target)
    with admin(connection) as client:
        client.delete_topics([topic])
    until(lambda: _is_made(connection, topic))
    with TopicTarget(connection, topic, replays=replays) as target:
        assert replay(rows, target).before == 0
    assert held(connection, topic) == expected(ROWS, 2)


def test_nothing_is_sent_behind_a_record_that_the_brokers_refuse(connection: KafkaConnection, replays: Path) -> None:
    create_topic(connection, "narrow", 1, {"max.message.bytes": "2000"})
    long = UserBehavior("u", "click", "x" * 3_000, 1)
    with TopicTarget(connection, "narrow", compression=None, replays=replays) as target:
        with pytest.raises(ProduceError, match=r"topic narrow .*MessageSizeTooLarge.*\n.*the same command goes on"):
            target.append([*ROWS[:100], long, *ROWS[100:1_000]])
        with pytest.raises(ProduceError):
            target.append(ROWS[:1])
    values = [value for _, value in held(connection, "narrow")[0]]
    assert values == [encode_behavior(row) for row in ROWS[: len(values)]]
    assert len(values) <= 100


def test_a_broker_that_dies_and_comes_back_costs_nothing(tmp_path: Path, rows: Dataset, replays: Path) -> None:
    spec = broker_spec(tmp_path / "broker")
    broker = start(spec, timeout_s=60)
    connection = KafkaConnection(brokers=broker.bootstrap)
    counts: list[int] = []
    with (
        TopicTarget(connection, "lasting", replays=replays) as target,
        in_background(lambda: replay(rows, target, pace=Pace(rate=1_000), on_progress=counts.append)),
    ):
        until(lambda: counts and counts[-1] > 500)
        broker.kill()
        broker = start(spec, timeout_s=60)
    try:
        assert counts[-1] == 3_000
        assert held(connection, "lasting") == expected(ROWS, 4)
    finally:
        broker.stop()


@contextmanager
def in_background(work: Any) -> Iterator[None]:
    thread = Thread(target=work)
    thread.start()
    yield
    thread.join()


def admin(connection: KafkaConnection) -> Any:
    from kafka import KafkaAdminClient

    return closing(KafkaAdminClient(bootstrap_servers=connection.brokers))


def _is_made(connection: KafkaConnection, topic: str) -> bool:
    try:
        create_topic(connection, topic, 2)
    except TopicError:
        return False
    return True
