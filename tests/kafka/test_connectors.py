"""The same cases through our reader and through Flink's own connector give the same."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from job.cluster import ClusterSpec, FlinkRest
from job.kafka.artifacts import connector_jar
from job.kafka.broker import RunningBroker
from job.kafka.topics import create_topic
from job.trial import trial_cluster
from model.bundles.bundle import Bundle
from model.datasets.json_lines import encode_behavior
from model.datasets.prepared import Dataset
from model.event_time import LATEST_MS
from tests.job.fixtures import BAD_LINES, Deploy, Run, jobs_on
from tests.job.outcome import REPLAYABLE, assert_same, assert_sequences_whole, outcome_of
from tests.job.waiting import wait_until
from tests.kafka.fixtures import CACHE, produce
from tests.kafka.published import consumed
from udfs.hashing import stable_hash
from udfs.kafka.connection import KafkaConnection
from udfs.publishing.publication import newest_lists

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
EVENTS = 6_000
FAR_TIMES_MS = (LATEST_MS, LATEST_MS + 1, 400_000_000_000_000, 2**62)
"""Times of creation up to the year 9999 and beyond, as a producer with a wrong unit gives them."""
FAULTS = (None, b"two\nlines", bytes(range(256)), *BAD_LINES)


@pytest.fixture
def run_native(bundle: Bundle, broker: RunningBroker, tmp_path: Path) -> Iterator[Deploy]:
    """A cluster with the connector's jar."""
    spec = ClusterSpec(tmp_path / "native", task_managers=2, jars=(connector_jar(CACHE),))
    with trial_cluster(spec, timeout_s=120) as cluster, jobs_on(cluster, bundle, tmp_path) as deployed:
        yield deployed


@pytest.fixture
def lines(ml_100k: Dataset) -> list[list[bytes | None]]:
    """Per partition: behaviours, and records of every kind that is none."""
    found: list[list[bytes | None]] = [[], [], []]
    for behavior in islice(ml_100k.behaviors(), EVENTS):
        found[stable_hash(behavior.user_id) % 3].append(encode_behavior(behavior))
    for number, fault in enumerate(FAULTS):
        found[number % 3].insert(1 + 100 * number, fault)
    return found


def letters(run: Run) -> list[tuple[object, ...]]:
    return run.rows("SELECT log_partition, log_offset, reason, raw_base64, raw_bytes FROM dead_letters ORDER BY 1, 2")


def appended(run: Run) -> list[tuple[object, ...]]:
    return run.rows("SELECT appended_at FROM user_behavior ORDER BY log_partition, log_offset")


def published(broker: RunningBroker, topic: str) -> list[tuple[object, ...]]:
    records = consumed(broker.bootstrap, topic)
    newest = newest_lists(record.value for record in records)
    assert all(record.key == newest[record.key.decode()].user_id.encode() for record in records)
    return sorted((each.user_id, each.epoch, each.list_version, each.items) for each in newest.values())


def in_the_table(run: Run) -> list[tuple[object, ...]]:
    return run.rows("SELECT user_id, epoch, list_version, items FROM latest_recommendation_lists ORDER BY 1")


def test_both_connectors_give_the_same_though_a_taskmanager_is_killed(
    run_native: Deploy, broker: RunningBroker, lines: list[list[bytes | None]]
) -> None:
    any_time = {"message.timestamp.after.max.ms": str(2**63 - 1)}
    create_topic(KafkaConnection(brokers=broker.bootstrap), "both", 3, any_time)
    for far_ms in FAR_TIMES_MS:
        produce(broker, "both", 0, lines[0][:1], at_ms=far_ms)
    half = [len(each) // 2 for each in lines]
    for partition, each in enumerate(lines):
        produce(broker, "both", partition, each[: half[partition]], compression_type="lz4")
    settings = ("log.kind=kafka", f"kafka.brokers={broker.bootstrap}", "log.topic=both", REPLAYABLE)
    of_native = ("kafka.connector=native", "publish.lists_topic=native-lists", "publish.dead_letters_topic=native-dead")
    native = run_native(None, *settings, *of_native, "flink.parallelism=2", tables="native")
    native.wait_for_lists(2_000)
    native.cluster.kill_task_manager(0)
    for partition, each in enumerate(lines):
        produce(broker, "both", partition, each[half[partition] :])
    with FlinkRest(native.cluster.rest_url) as rest:
        job_id = native.deployment.job_id
        wait_until(lambda: rest.checkpoints(job_id).restored > 0, timeout_s=60, what="a restore")
        rest.wait_until_running(job_id, timeout_s=60)
    native.wait_for_offsets(len(FAR_TIMES_MS) + EVENTS + len(FAULTS))
    ours = run_native(None, *settings, "publish.lists_topic=our-lists", tables="ours")
    ours.wait_for_offsets(len(FAR_TIMES_MS) + EVENTS + len(FAULTS))
    assert_sequences_whole(native)
    assert len(letters(native)) == len(FAULTS)
    assert letters(native) == letters(ours)
    assert appended(native) == appended(ours)
    assert appended(native)[: len(FAR_TIMES_MS)] == [(LATEST_MS,), (None,), (None,), (None,)]
    assert_same(outcome_of(native), outcome_of(ours))
    for run, topic in ((native, "native-lists"), (ours, "our-lists")):
        assert published(broker, topic) == in_the_table(run)
