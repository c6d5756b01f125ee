"""The brokers of a run over Kafka: two, so that a partition can be without a leader while others have one.

The first is the controller too, and has every partition of both topics but the last one of the behaviours.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from job.cluster.errors import ClusterError
from job.cluster.java import find_java
from job.cluster.running import Progress
from job.kafka.artifacts import broker_jars
from job.kafka.broker import BrokerSpec, start, stop
from job.kafka.errors import KafkaToolError
from job.kafka.topics import create_topic
from job.settings.groups import LogSettings
from job.settings.kafka import KafkaSettings, PublishSettings
from job.trial import stopped_if_killed
from udfs.kafka.connection import KafkaConnection

_BEHAVIORS, _LISTS = "behaviors", "lists"
_STAMPED, _COMPACTED = {"message.timestamp.type": "LogAppendTime"}, {"cleanup.policy": "compact"}
_READY_S = 90.0
_HEAP = "256m"
_MODULE = "job.kafka.broker"


@dataclass(frozen=True, slots=True)
class Brokers:
    """Two brokers, and the topics on them.

    Attributes:
        first: the controller, and leader of most partitions.
        second: the leader of the last partition of the behaviours.
        addresses: host:port of both, separated by commas.
        partitions: the number of partitions of the behaviours.
    """

    first: BrokerSpec
    second: BrokerSpec
    addresses: str
    partitions: int

    @property
    def connection(self) -> KafkaConnection:
        """The connection to them."""
        return KafkaConnection(brokers=self.addresses)

    @property
    def topic(self) -> str:
        """The topic of the behaviours."""
        return _BEHAVIORS

    @property
    def settings(self) -> tuple[LogSettings, KafkaSettings, PublishSettings]:
        """The settings of a job that reads behaviours from them, and publishes lists to them."""
        log = LogSettings(kind="kafka", topic=_BEHAVIORS, partitions=self.partitions)
        return log, KafkaSettings(brokers=self.addresses), PublishSettings(lists_topic=_LISTS)

    def restart(self, *specs: BrokerSpec) -> None:
        """Start brokers that are away, at the ports that they had.

        Raises:
            BrokerFailedError: one did not get ready.
        """
        for spec in specs:
            start(spec, timeout_s=_READY_S)


@contextmanager
def running_brokers(folder: Path, partitions: int, report: Progress) -> Iterator[Brokers]:
    """Start brokers in a folder, and make the topics; stop the brokers after the block, even if this process is killed.

    Raises:
        KafkaToolError: they did not start, or could not be fetched.
        JavaNotFoundError: there is no Java for them.
    """
    report("starting two brokers")
    first = BrokerSpec(folder / "first", heap=_HEAP)
    second = BrokerSpec(folder / "second", heap=_HEAP, joins=first.directory)
    with ExitStack() as stack:
        addresses = []
        for spec in (first, second):
            stack.enter_context(stopped_if_killed(spec.directory, _MODULE))
            stack.callback(stop, spec.directory)
            addresses.append(start(spec, timeout_s=_READY_S, on_progress=report).bootstrap)
        brokers = Brokers(first, second, ",".join(addresses), partitions)
        # A partition with one replica cannot get another leader.
        create_topic(brokers.connection, _BEHAVIORS, partitions, _STAMPED, owners=[*[1] * (partitions - 1), 2])
        create_topic(brokers.connection, _LISTS, partitions, _COMPACTED, owners=[1] * partitions)
        yield brokers


def stop_brokers(folder: Path) -> None:
    """Stop the brokers that run in a folder, if any do."""
    for name in ("first", "second"):
        stop(folder / name)


def why_no_broker() -> str | None:
    """Return the reason why no broker can be started here; None if one can, once its artifacts are fetched."""
    try:
        broker_jars()
        find_java(os.environ)
    except (KafkaToolError, ClusterError) as error:
        return str(error)
    return None
