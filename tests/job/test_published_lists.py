"""A real job publishes its lists and dead letters: the topic equals the table, whatever is killed meanwhile."""

import json
from pathlib import Path
from typing import Any

import psutil
import pytest

from job.cluster import FlinkRest
from job.kafka.broker import BrokerSpec, start
from job.kafka.topics import end_offsets
from job.replay.log_writer import LogWriter
from model.records import UserBehavior
from tests.job.fixtures import Deploy
from tests.job.test_killed_worker import workers
from tests.job.test_orphaned_worker import SOON_S, jvm_killed_alone, still_there
from tests.job.waiting import wait_until
from tests.kafka.published import consumed
from udfs.hashing import stable_hash
from udfs.kafka.connection import KafkaConnection
from udfs.publishing.publication import newest_lists

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

USERS = 60
PARTITIONS = 3


class Published:
    """A job that publishes what it makes of a log, one line in 20 of which is a dead letter."""

    def __init__(self, run_job: Deploy, bootstrap: str, log: Path, name: str) -> None:
        self.connection = KafkaConnection(brokers=bootstrap)
        self.lists, self.letters = f"{name}-lists", f"{name}-letters"
        self.writer = LogWriter(log)
        self.run = run_job(
            log,
            f"kafka.brokers={bootstrap}",
            f"publish.lists_topic={self.lists}",
            f"publish.dead_letters_topic={self.letters}",
            f"publish.partitions={PARTITIONS}",
        )
        self.offsets = 0

    def append(self, behaviors: int) -> None:
        numbers = range(self.offsets, self.offsets + behaviors)
        self.writer.append(
            UserBehavior(f"user-{n % USERS}", "gaze" if n % 20 == 0 else "click", str(n % 90 + 1), 1_000 + n)
            for n in numbers
        )
        self.offsets += behaviors

    def wait_for_published(self, lists: int) -> None:
        def enough() -> bool:
            return sum(end_offsets(self.connection, self.lists).values()) >= lists

        wait_until(enough, timeout_s=60, what=f"{lists} published lists")

    def wait_for_offsets(self) -> None:
        self.run.wait_for_offsets(self.offsets, timeout_s=90)

    def assert_topics_equal_tables(self) -> list[Any]:
        """Gives the records of the lists' topic."""
        bootstrap = self.connection.brokers
        records = consumed(bootstrap, self.lists)
        newest = newest_lists(record.value for record in records)
        in_topic = sorted((each.user_id, each.epoch, each.list_version, each.items) for each in newest.values())
        rows = self.run.rows("SELECT user_id, epoch, list_version, items FROM latest_recommendation_lists ORDER BY 1")
        assert in_topic == rows
        assert len(rows) == USERS - USERS // 20, "the others did nothing but gaze"
        published = {(row["user_id"], row["list_version"], row["epoch"]) for row in map(as_row, records)}
        assert published >= set(self.run.rows("SELECT user_id, list_version, epoch FROM recommendation_lists"))
        letters = consumed(bootstrap, self.letters)
        told = {header(letter, "log_partition", "log_offset", "reason") for letter in letters}
        columns = "CAST(log_partition AS VARCHAR), CAST(log_offset AS VARCHAR), reason"
        assert told == set(self.run.rows(f"SELECT {columns} FROM dead_letters"))
        return records


def as_row(record: Any) -> dict[str, Any]:
    row: dict[str, Any] = json.loads(record.value)
    return row


def header(record: Any, *names: str) -> tuple[str, ...]:
    headers = dict(record.headers)
    return tuple(headers[name].decode() for name in names)


def test_each_list_is_published_under_its_user_in_the_user_s_partition(
    run_job: Deploy, own_broker: BrokerSpec, tmp_path: Path
) -> None:
    broker = start(own_broker)
    job = Published(run_job, broker.bootstrap, tmp_path / "log", "small")
    with job.writer:
        job.append(200)
        job.wait_for_offsets()
    records = job.assert_topics_equal_tables()
    assert len(records) == 190, "none twice, where nothing fails"
    for record in records:
        user = as_row(record)["user_id"]
        assert (record.key, record.partition) == (user.encode(), stable_hash(user) % PARTITIONS)
    letter = consumed(broker.bootstrap, job.letters)[0]
    assert b'"action":"gaze"' in letter.value
    assert header(letter, "reason", "detail", "truncated") == (
        "unknown_action",
        "action 'gaze' is not in the table",
        "false",
    )


def test_though_broker_and_taskmanager_are_killed_the_topic_equals_the_table(
    run_job: Deploy, own_broker: BrokerSpec, tmp_path: Path
) -> None:
    broker = start(own_broker)
    job = Published(run_job, broker.bootstrap, tmp_path / "log", "killed")
    job_id, cluster = job.run.deployment.job_id, job.run.cluster
    with job.writer, FlinkRest(cluster.rest_url) as rest:
        job.append(1_000)
        job.wait_for_offsets()
        job.append(4_000)
        job.wait_for_published(1_200)
        broker.kill()

        orphans = [psutil.Process(worker) for worker in workers(cluster)]
        with jvm_killed_alone(cluster, orphans[0]):
            assert still_there(orphans, SOON_S) == [], "with lists to send"
        wait_until(lambda: rest.checkpoints(job_id).restored > 0, timeout_s=60, what="a restore")
        rest.wait_until_running(job_id, timeout_s=60)
        job.append(500)

        start(own_broker, timeout_s=60)
        job.wait_for_offsets()
        assert len(rest.exceptions(job_id)) == 1, "the killed TaskManager's"
    records = job.assert_topics_equal_tables()
    versions = {(row["user_id"], row["list_version"]) for row in map(as_row, records)}
    assert len(records) > len(versions), "some were published again, under a higher epoch"
