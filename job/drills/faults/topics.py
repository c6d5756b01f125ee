"""Faults of a topic of behaviours: a transaction that is aborted."""

from contextlib import closing

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from job.drills.errors import DrillError
from job.drills.faults.fault import Injected
from job.drills.faults.over_kafka import OverKafka
from job.drills.site import Site, now_ms
from job.kafka.topics import end_offsets
from model.datasets.json_lines import encode_behavior
from model.records import UserBehavior
from model.waiting import polls
from udfs.hashing import stable_hash
from udfs.kafka.client import connect

_ABORTED = 50
"""Records of the transaction in each partition."""
_BEHIND = 200
"""Records that are appended while it is open: a reader of committed records waits for its end."""
_APPENDED_S = 60.0
_READ_S = 20.0
_TRANSACTION = "drill"


class TransactionAborted(OverKafka):
    """Abort a transaction after other records were appended behind its own: none of its records is applied."""

    name = "transaction-aborted"

    def inject(self, site: Site) -> Injected:
        """Write buys of its users into every partition in a transaction, and abort it."""
        brokers, at_ms = site.brokers, now_ms()
        producer, _ = connect(KafkaProducer, brokers.connection, transactional_id=_TRANSACTION)
        with closing(producer):
            producer.init_transactions()
            producer.begin_transaction()
            sent = [
                producer.send(brokers.topic, buy, partition=partition)
                for partition in range(brokers.partitions)
                for buy in _buys(site, partition)
            ]
            producer.flush()
            self._offsets: dict[int, list[int]] = {partition: [] for partition in range(brokers.partitions)}
            for done in (each.get() for each in sent):
                self._offsets[done.partition].append(done.offset)
            appended = site.feeder.appended
            _wait_for_appended(site, appended + _BEHIND)
            self._readable = end_offsets(brokers.connection, brokers.topic)
            producer.abort_transaction()
            self._ended_ms = now_ms()
        return Injected(at_ms, f"{len(sent)} buys in {brokers.partitions} partitions were not committed")

    def evidence(self, site: Site, injected: Injected) -> str | None:
        """Wait until the job has read past it; its records have to be in the topic still."""
        later = " OR ".join(
            f"(log_partition = {partition} AND log_offset > {offsets[-1]})"
            for partition, offsets in self._offsets.items()
        )
        if site.count(f"SELECT count(DISTINCT log_partition) FROM user_behavior WHERE {later}") < len(self._offsets):
            return None
        waited = all(end <= self._offsets[partition][0] for partition, end in self._readable.items())
        found = sum(_found(site, partition, offsets) for partition, offsets in self._offsets.items())
        if not waited or found < sum(map(len, self._offsets.values())):
            return None
        return f"{found} records that nobody may read are in the topic, and {_BEHIND} others waited behind them"

    def ended_ms(self, injected: Injected) -> int:
        """Return when it was aborted."""
        return self._ended_ms


def _wait_for_appended(site: Site, records: int) -> None:
    """Wait until the log has so many records.

    Raises:
        DrillError: it does not grow.
    """
    if not site.wait(lambda: site.feeder.appended >= records, timeout_s=_APPENDED_S):
        msg = f"the log has {site.feeder.appended:,} records, and {records:,} were waited for in {_APPENDED_S:g} s"
        raise DrillError(msg)


def _buys(site: Site, partition: int) -> list[bytes]:
    """Return records that would be applied: users of the partition buy items."""
    scale = site.setup.scale
    mine = [user for user in map(str, range(scale.users)) if stable_hash(user) % scale.partitions == partition]
    return [
        encode_behavior(UserBehavior(mine[number % len(mine)], "buy", str(number % scale.items), now_ms()))
        for number in range(_ABORTED)
    ]


def _found(site: Site, partition: int, offsets: list[int]) -> int:
    """Return how many of the offsets have a record for a reader that does not ask whether it was committed."""
    brokers, found = site.brokers, set[int]()
    consumer, _ = connect(KafkaConsumer, brokers.connection, isolation_level="read_uncommitted")
    tp = TopicPartition(brokers.topic, partition)
    with closing(consumer):
        consumer.assign([tp])
        consumer.seek(tp, offsets[0])
        for _ in polls(timeout_s=_READ_S, poll_s=0):  # the consumer's poll waits
            found |= {record.offset for records in consumer.poll(timeout_ms=500).values() for record in records}
            if found and max(found) > offsets[-1]:
                break
    return len(found.intersection(offsets))
