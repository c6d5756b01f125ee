"""The job on a real cluster, with a real broker's topic as its log."""

from collections import Counter
from itertools import islice
from pathlib import Path

import pytest

from job.cluster import FlinkRest
from job.deployment.status import read_status
from job.kafka.broker import BrokerSpec, RunningBroker, start
from job.kafka.errors import GroupMissingError
from job.kafka.topics import create_topic, group_lags
from job.settings.job_settings import JobSettings
from job.settings.planned_job import PlannedJob
from model.datasets.json_lines import encode_behavior
from model.datasets.prepared import Dataset
from tests.job.fixtures import PARTITIONS, Deploy, Log, Run
from tests.job.outcome import (
    REPLAYABLE,
    assert_all_accounted_for,
    assert_same,
    assert_sequences_whole,
    outcome_of,
    undisturbed_outcome,
)
from tests.job.waiting import wait_until
from tests.kafka.fixtures import produce
from udfs.hashing import stable_hash
from udfs.kafka.connection import KafkaConnection
from udfs.log.file_log import partition_file

pytestmark = pytest.mark.cluster
EVENTS = 6_000


def kafka(broker: RunningBroker, topic: str) -> tuple[str, ...]:
    return ("log.kind=kafka", f"kafka.brokers={broker.bootstrap}", f"log.topic={topic}", f"log.group=of-{topic}")


def settings_of(run: Run) -> JobSettings:
    return PlannedJob.of_file(run.deployment.settings).settings


def test_a_topic_of_3_partitions_becomes_lists_on_2_subtasks(
    run_job: Deploy, broker: RunningBroker, ml_100k: Dataset
) -> None:
    connection = KafkaConnection(brokers=broker.bootstrap)
    create_topic(connection, "three", 3)
    lines: list[list[bytes | None]] = [[], [], []]
    for behavior in islice(ml_100k.behaviors(), EVENTS):
        lines[stable_hash(behavior.user_id) % 3].append(encode_behavior(behavior))
    lines[0].insert(10, None)
    lines[1].append(b"not json")
    for partition in range(3):
        produce(broker, "three", partition, lines[partition], compression_type="zstd")
    run = run_job(None, *kafka(broker, "three"), REPLAYABLE, "flink.parallelism=2")
    run.wait_for_offsets(EVENTS + 2)
    assert_all_accounted_for(run, Log(Path(), EVENTS, 0, 2))
    assert_sequences_whole(run)
    letters = run.rows("SELECT reason, log_partition, log_offset FROM dead_letters")
    assert sorted(map(str, letters)) == sorted(map(str, [("tombstone", 0, 10), ("not_json", 1, len(lines[1]) - 1)]))
    assert run.count("recommendation_lists", "source <> 'scored' OR appended_at IS NULL") == 0
    wait_until(lambda: told_lags(connection, "of-three") == [0, 0, 0], timeout_s=60, what="no lag in 3 partitions")
    with FlinkRest(run.cluster.rest_url) as rest:
        told = read_status(rest, run.deployment.job_id, settings_of(run))
    assert (told.lag, len(told.partitions), told.log_problem, told.log_silent_s) == (0, 3, None, 0)
    assert (told.scored, told.stepped, told.cached, told.fallbacks) == (EVENTS, 0, 0, 0)


def told_lags(connection: KafkaConnection, group: str) -> list[int]:
    """The lag of each partition the group told of; a job tells every 5 s, and makes the group when it first does."""
    try:
        return [each.lag for each in group_lags(connection, group)]
    except GroupMissingError:
        return []


@pytest.mark.slow
def test_a_topic_gives_what_files_give_though_broker_and_taskmanager_are_killed(
    run_job: Deploy, own_broker: BrokerSpec, faulty_log: Log
) -> None:
    undisturbed = undisturbed_outcome(run_job, faulty_log)
    broker = start(own_broker)
    create_topic(KafkaConnection(brokers=broker.bootstrap), "all", PARTITIONS)
    for partition in range(PARTITIONS):
        produce(broker, "all", partition, partition_file(faulty_log.folder, partition).read_bytes().splitlines())
    run = run_job(None, *kafka(broker, "all"), REPLAYABLE, "flink.parallelism=2")
    job_id = run.deployment.job_id
    with FlinkRest(run.cluster.rest_url) as rest:
        wait_until(lambda: run.count("recommendation_lists") > 20_000, timeout_s=120, what="20,000 lists")
        broker.kill()
        wait_until(
            lambda: read_status(rest, job_id, settings_of(run)).log_silent_s > 3, timeout_s=60, what="a silent log"
        )
        told = read_status(rest, job_id, settings_of(run))
        assert told.log_problem is not None
        assert broker.bootstrap in told.log_problem
        assert (told.state, told.restarts) == ("RUNNING", 0)
        start(own_broker, timeout_s=60)
        run.cluster.kill_task_manager(0)
        wait_until(lambda: rest.checkpoints(job_id).restored > 0, timeout_s=60, what="a restore")
        rest.wait_until_running(job_id, timeout_s=60)
    run.wait_for_offsets(faulty_log.offsets)
    assert_all_accounted_for(run, faulty_log)
    assert_sequences_whole(run)
    assert_same(outcome_of(run), undisturbed)


@pytest.mark.slow
def test_partitions_added_while_it_runs_or_is_down_are_read_from_their_beginning(
    run_job: Deploy, broker: RunningBroker, ml_100k: Dataset
) -> None:
    connection = KafkaConnection(brokers=broker.bootstrap)
    create_topic(connection, "growing", 1)
    behaviors = [encode_behavior(behavior) for behavior in islice(ml_100k.behaviors(), 400)]
    produce(broker, "growing", 0, behaviors[:100])
    settings = (*kafka(broker, "growing"), REPLAYABLE, "log.start=latest")
    first = run_job(None, *settings)
    produce(broker, "growing", 0, behaviors[100:200])
    first.wait_for_lists(100)
    grow(connection, "growing", 2)
    produce(broker, "growing", 1, behaviors[200:300])
    first.wait_for_lists(200)
    with FlinkRest(first.cluster.rest_url) as rest:
        wait_until(lambda: seen_by_checkpoint(rest, first), timeout_s=30, what="a checkpoint with all of it")
        rest.cancel(first.deployment.job_id)
        rest.wait_for_job(first.deployment.job_id, lambda job: job.is_over, timeout_s=60)
    grow(connection, "growing", 3)
    produce(broker, "growing", 2, behaviors[300:400])
    again = run_job(None, *settings, fresh=False)
    again.wait_for_lists(300)
    read = Counter(str(partition) for (partition,) in again.rows("SELECT log_partition FROM user_behavior"))
    assert read == {"0": 100, "1": 100, "2": 100}
    assert again.count("dead_letters") == 0


def seen_by_checkpoint(rest: FlinkRest, run: Run) -> bool:
    """Whether a checkpoint was triggered after the newest list was written."""
    ((written_ms,),) = run.rows("SELECT max(written_at) FROM recommendation_lists")
    latest = rest.checkpoints(run.deployment.job_id).latest
    return latest is not None and latest.trigger_ms > int(str(written_ms))


def grow(connection: KafkaConnection, topic: str, partitions: int) -> None:
    from kafka import KafkaAdminClient
    from kafka.admin import NewPartitions

    admin = KafkaAdminClient(bootstrap_servers=connection.brokers)
    admin.create_partitions({topic: NewPartitions(total_count=partitions)})
    admin.close()
