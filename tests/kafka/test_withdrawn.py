"""A withdrawn item leaves the published lists of users who do nothing, on a topic that nothing is appended to.

Lists are filled up again, by what their users did nothing with.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import msgspec
import pytest

from job.cluster import ClusterSpec, RunningCluster, start
from job.kafka.artifacts import connector_jar
from job.kafka.broker import RunningBroker
from job.kafka.topics import create_topic
from model.bundles.bundle import Bundle
from model.datasets.json_lines import encode_behavior
from model.datasets.prepared import Dataset
from tests.job.fixtures import Deploy, Run, jobs_on
from tests.job.waiting import wait_until
from tests.kafka.fixtures import CACHE, produce
from tests.kafka.published import consumed
from udfs.hashing import stable_hash
from udfs.kafka.connection import KafkaConnection
from udfs.publishing.publication import newest_lists

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
EVENTS = 3_000
LENGTH = 10
NEWEST = (
    "SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY user_id ORDER BY epoch DESC, list_version DESC) AS place "
    "FROM recommendation_lists) WHERE place = 1"
)


@pytest.fixture(scope="module")
def native_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCluster]:
    """A cluster with the connector's jar, which our own reader does not need."""
    folder = tmp_path_factory.mktemp("native")
    cluster = start(ClusterSpec(folder, task_managers=2, jars=(connector_jar(CACHE),)), timeout_s=120)
    yield cluster
    cluster.stop()


@pytest.fixture
def run_on(native_cluster: RunningCluster, bundle: Bundle, tmp_path: Path) -> Iterator[Deploy]:
    with jobs_on(native_cluster, bundle, tmp_path) as deployed:
        yield deployed


def published(broker: RunningBroker, topic: str) -> list[tuple[object, ...]]:
    newest = newest_lists(record.value for record in consumed(broker.bootstrap, topic)).values()
    return sorted((each.user_id, each.epoch, each.list_version, each.items) for each in newest)


def stored(run: Run) -> list[tuple[object, ...]]:
    """Each user's newest row, with whatever the job left in it."""
    return run.rows(f"SELECT user_id, epoch, list_version, items FROM ({NEWEST}) ORDER BY 1")


@pytest.mark.parametrize("connector", ["native", "python"])
def test_what_is_withdrawn_leaves_published_lists_though_nothing_is_appended(
    run_on: Deploy, broker: RunningBroker, ml_100k: Dataset, connector: str
) -> None:
    log, lists = f"idle-{connector}", f"idle-lists-{connector}"
    create_topic(KafkaConnection(brokers=broker.bootstrap), log, 2)
    lines: list[list[bytes | None]] = [[], []]
    for behavior in islice(ml_100k.behaviors(), EVENTS):
        lines[stable_hash(behavior.user_id) % 2].append(encode_behavior(behavior))
    for partition, values in enumerate(lines):
        produce(broker, log, partition, values)
    settings = (
        *("log.kind=kafka", f"kafka.brokers={broker.bootstrap}", f"log.topic={log}", f"kafka.connector={connector}"),
        *(f"publish.lists_topic={lists}", "flink.parallelism=2"),
    )
    first = run_on(None, *settings)
    first.wait_for_offsets(EVENTS)
    shown = f"SELECT unnest(items) AS item_id FROM ({NEWEST})"
    item, holders = first.rows(f"SELECT item_id, count(*) AS n FROM ({shown}) GROUP BY 1 ORDER BY n DESC, 1 LIMIT 1")[0]
    made = first.count("recommendation_lists")

    second = run_on(None, *settings, f'lists.withdrawn=["{item}"]', fresh=False)

    second.wait_for_lists(made + int(str(holders)))
    assert second.count(f"({shown})", f"item_id = '{item}'") == 0
    wait_until(lambda: published(broker, lists) == stored(second), timeout_s=30, what="all lists on their topic")
    records = [msgspec.json.decode(record.value) for record in consumed(broker.bootstrap, lists)]
    swept = [record for record in records if record["action"] == "withdrawn"]
    assert len(swept) == holders
    assert {record["item_id"] for record in swept} == {item}
    assert not any(item in record["items"] for record in swept)
    assert all(len(record[name]) == LENGTH for record in swept for name in ("items", "scores", "reasons")), "filled up"
    assert {record["reasons"][-1] for record in swept} <= {"trending", "popular"}
    owned = second.rows("SELECT user_id, item_id FROM user_behavior WHERE outcome = 'applied'")
    assert not {(record["user_id"], shown) for record in swept for shown in record["items"]} & set(owned)
