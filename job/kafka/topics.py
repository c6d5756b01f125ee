"""The topics of a Kafka cluster and the lags of its consumer groups, for `recloop kafka topics|lag` and deployment."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, NewTopic
from kafka.errors import (
    CoordinatorLoadInProgressError,
    CoordinatorNotAvailableError,
    TopicAlreadyExistsError,
)

from job.kafka.errors import GroupMissingError, TopicError
from job.kafka.no_answer import as_topic_errors
from job.settings.groups import Start
from model.waiting import retry
from udfs.kafka.client import connect, offsets_found
from udfs.kafka.connection import KafkaConnection

_TIMEOUT_MS = 10_000
_RETRY_S = 0.2


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic.

    Attributes:
        name: its name.
        partitions: the number of its partitions.
        offsets: the number of offsets it holds now, over all partitions.
    """

    name: str
    partitions: int
    offsets: int


@dataclass(frozen=True, slots=True)
class GroupLag:
    """The position of a consumer group in one partition.

    Attributes:
        topic: the topic's name.
        partition: the partition's number.
        committed: the offset the group reads next.
        end_offset: the offset the next record gets.
    """

    topic: str
    partition: int
    committed: int
    end_offset: int

    @property
    def lag(self) -> int:
        """The number of offsets not read yet."""
        return self.end_offset - self.committed


def create_topic(
    connection: KafkaConnection,
    name: str,
    partitions: int,
    configs: Mapping[str, str] | None = None,
    *,
    owners: Sequence[int] = (),
) -> None:
    """Make a topic with the brokers' default number of replicas.

    Args:
        connection: the connection to the brokers.
        name: the topic's name.
        partitions: the number of its partitions.
        configs: its configuration, where it is not the brokers' default.
        owners: the number of the broker that has the only replica of partition 0, 1, ...; else the brokers choose.

    Raises:
        TopicError: it is there already.
    """
    new = NewTopic(
        name=name,
        num_partitions=-1 if owners else partitions,
        replication_factor=-1,
        replica_assignments={partition: [owner] for partition, owner in enumerate(owners)},
        topic_configs=dict(configs or {}),
    )
    with _admin(connection) as admin, as_topic_errors(f"topic {name}", connection):
        try:
            admin.create_topics([new])
        except TopicAlreadyExistsError as error:
            msg = f"topic {name} is there already"
            raise TopicError(msg) from error


def ensure_topic(connection: KafkaConnection, name: str, partitions: int) -> None:
    """Make a topic if it is not there.

    Raises:
        TopicError: it is there with another number of partitions.
    """
    there = next((topic for topic in topics(connection) if topic.name == name), None)
    if there is None:
        create_topic(connection, name, partitions)
    elif there.partitions != partitions:
        msg = f"topic {name} is there already, with {there.partitions} partitions, not {partitions}"
        raise TopicError(msg)


def topic_configs(connection: KafkaConnection, name: str) -> dict[str, str | None]:
    """Return a topic's configuration, defaults included; empty if there is no such topic, or we may not see it.

    Raises:
        TopicError: the brokers do not answer.
    """
    resource = ConfigResource(ConfigResourceType.TOPIC, name)
    with _admin(connection) as admin, as_topic_errors(f"topic {name}", connection):
        found = admin.describe_configs([resource], config_filter="all")["topic"][name]
    return {key: config["value"] for key, config in found.items()}


def cleanup_policy(connection: KafkaConnection, name: str) -> str | None:
    """Return a topic's policy for old records: delete, compact, or both; None if `topic_configs` is empty.

    Raises:
        TopicError: the brokers do not answer.
    """
    return topic_configs(connection, name).get("cleanup.policy")


def is_there(connection: KafkaConnection, name: str) -> bool:
    """Return whether there is such a topic that we may see.

    Raises:
        TopicError: the brokers do not answer.
    """
    with _consumer(connection) as consumer, as_topic_errors(f"topic {name}", connection):
        return name in consumer.topics()


def topics(connection: KafkaConnection) -> list[Topic]:
    """Return all topics but Kafka's own, sorted by name."""
    with _consumer(connection) as consumer, as_topic_errors("the topics", connection):
        names = sorted(name for name in consumer.topics() if not name.startswith("__"))
        found = []
        for name in names:
            ends = _ends(consumer, name)
            begins = offsets_found(
                consumer.beginning_offsets, [TopicPartition(name, each) for each in ends], timeout_ms=_TIMEOUT_MS
            )
            held = sum(ends.values()) - sum(begins.values())
            found.append(Topic(name=name, partitions=len(ends), offsets=held))
        return found


def leaderless(connection: KafkaConnection, topic: str) -> list[int]:
    """Return the partitions of a topic that no broker leads now.

    Raises:
        TopicError: the brokers do not answer.
    """
    with _admin(connection) as admin, as_topic_errors(f"topic {topic}", connection):
        (found,) = admin.describe_topics([topic])
    return sorted(each["partition_index"] for each in found["partitions"] if each["leader_id"] < 0)


def remove_records(connection: KafkaConnection, topic: str, before: Mapping[int, int]) -> None:
    """Remove the records before an offset of each partition, as retention does.

    Raises:
        TopicError: the brokers refuse, or do not answer.
    """
    with _admin(connection) as admin, as_topic_errors(f"topic {topic}", connection):
        admin.delete_records({TopicPartition(topic, partition): offset for partition, offset in before.items()})


def end_offsets(connection: KafkaConnection, topic: str) -> dict[int, int]:
    """Return for each partition of a topic the offset that its next record gets.

    Raises:
        TopicError: there is no such topic, or the brokers do not answer.
    """
    with _consumer(connection) as consumer, as_topic_errors(f"topic {topic}", connection):
        return _ends(consumer, topic)


def group_lags(connection: KafkaConnection, group: str) -> list[GroupLag]:
    """Return the position of a consumer group in each partition for which it has committed an offset.

    Raises:
        GroupMissingError: there is no group of that name.
        TopicError: the brokers do not answer.
    """
    with _admin(connection) as admin, _consumer(connection) as consumer, as_topic_errors(f"group {group}", connection):
        committed = _committed(admin, group)
        if not committed:
            # A group without any offset exists as long as it has members.
            known = sorted({str(each["group_id"]) for each in admin.list_groups()})
            if group not in known:
                others = f"there are {', '.join(known)}" if known else "there is none yet"
                msg = (
                    f"the brokers know no consumer group {group!r}: {others}. The job's is log.group, and it is there "
                    "from its first seconds on"
                )
                raise GroupMissingError(msg)
        ends = offsets_found(consumer.end_offsets, list(committed), timeout_ms=_TIMEOUT_MS) if committed else {}
    return [
        GroupLag(topic=tp.topic, partition=tp.partition, committed=committed[tp], end_offset=ends[tp])
        for tp in sorted(committed)
    ]


def _committed(admin: Any, group: str) -> dict[Any, int]:
    """Return the group's offsets; on its first request for any group a broker makes a topic for them, so retry."""
    passing = (CoordinatorLoadInProgressError, CoordinatorNotAvailableError)
    ask = partial(admin.list_group_offsets, [group])
    found = retry(ask, passing, timeout_s=_TIMEOUT_MS / 1000, poll_s=_RETRY_S)[group]
    return {tp: at.offset for tp, at in found.items() if at.offset >= 0}


def _ends(consumer: Any, topic: str) -> dict[int, int]:
    found = offsets_found(consumer.end_offsets, _partitions(consumer, topic), timeout_ms=_TIMEOUT_MS)
    return {tp.partition: offset for tp, offset in found.items()}


def _partitions(consumer: Any, topic: str) -> list[Any]:
    numbers: Iterable[int] = consumer.partitions_for_topic(topic)
    if not numbers:
        msg = f"there is no topic {topic}: recloop kafka topics --create {topic} --partitions 4"
        raise TopicError(msg)
    return [TopicPartition(topic, each) for each in sorted(numbers)]


def start_offsets(connection: KafkaConnection, topic: str, start: Start, group: str) -> tuple[int, ...]:
    """Return the offset to begin with in each partition; empty if all begin with their oldest record.

    Args:
        connection: the connection to the brokers.
        topic: the topic's name.
        start: "earliest", "latest", "committed" by the group (a partition it never read begins with its oldest
            record), or a time: the first record that is not older, or the end.
        group: the consumer group.

    Raises:
        TopicError: there is no such topic, or the brokers do not answer.
    """
    with _consumer(connection) as consumer, as_topic_errors(f"topic {topic}", connection):
        partitions = _partitions(consumer, topic)
        if start == "earliest":
            return ()
        if start == "committed":
            with _admin(connection) as admin:
                found = _committed(admin, group)
            begins = offsets_found(consumer.beginning_offsets, partitions, timeout_ms=_TIMEOUT_MS)
            return tuple(found.get(tp, begins[tp]) for tp in partitions)
        ends = offsets_found(consumer.end_offsets, partitions, timeout_ms=_TIMEOUT_MS)
        if start == "latest":
            return tuple(ends[tp] for tp in partitions)
        since_ms = int(start.timestamp() * 1000)
        first = consumer.offsets_for_times(dict.fromkeys(partitions, since_ms), timeout_ms=_TIMEOUT_MS)
        return tuple(first[tp].offset if first[tp] else ends[tp] for tp in partitions)


@contextmanager
def _admin(connection: KafkaConnection) -> Iterator[Any]:
    with as_topic_errors("Kafka", connection, reached=False):
        made, _ = connect(KafkaAdminClient, connection)
    with closing(made):
        yield made


@contextmanager
def _consumer(connection: KafkaConnection) -> Iterator[Any]:
    with as_topic_errors("Kafka", connection, reached=False):
        made, _ = connect(KafkaConsumer, connection, isolation_level="read_committed")
    with closing(made):
        yield made
