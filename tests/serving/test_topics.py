"""A server over Kafka topics of a real broker, which is killed and comes back meanwhile."""

import asyncio
import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from job.kafka.broker import BrokerSpec, find, start
from job.kafka.topics import create_topic
from tests.kafka.fixtures import produce
from tests.kafka.published import consumed
from tests.unit.serving.lists import list_row
from tests.unit.serving.world import Client, World
from udfs.kafka.connection import KafkaConnection
from udfs.rows import to_lines

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.slow,
    # kafka-python leaves the sockets of failed connections to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True)
def _leftovers_are_this_test_s() -> Iterator[None]:
    yield
    gc.collect()


def test_topics_are_followed_and_written_though_the_broker_dies(own_broker: BrokerSpec, tmp_path: Path) -> None:
    broker = find(own_broker.directory)
    assert broker is not None
    connection = KafkaConnection(brokers=broker.bootstrap)
    create_topic(connection, "behaviors", 3)
    create_topic(connection, "lists", 2, {"cleanup.policy": "compact"})
    given = ("log.kind=kafka", "publish.lists_folder=null", "publish.lists_topic=lists")
    world = World(tmp_path, overrides=(*given, f"kafka.brokers={broker.bootstrap}"))
    rows = [list_row("u", ("old",), epoch=1, list_version=9), list_row("u", ("new",), epoch=2, log_offset=-1)]
    # As after a rescale: the newer one is in another partition, and there are tombstones and foreign records.
    for partition, row in enumerate(reversed(rows)):
        produce(broker, "lists", partition, [None, b"no list", to_lines([row]).encode()])

    async def ask(client: Client) -> None:
        assert await client.items("u") == ["new"]
        assert client.serving.follower.state().bad == 2
        click = {"user_id": "u", "action": "click", "item_id": "x", "event_id": "e"}
        first = await client.post(click)
        assert (await client.post(click))["positions"][0]["duplicate"]
        partition, offset = first["positions"][0]["partition"], first["positions"][0]["offset"]
        seen = list_row("u", ("seen",), epoch=2, list_version=2, log_partition=partition, log_offset=offset)
        produce(broker, "lists", 0, [to_lines([seen]).encode()])
        answer = await client.get("/users/u/recommendations", after=first["after"], wait_ms=5_000)
        assert (answer["stale"], answer["items"][0]["item_id"]) == (False, "seen")
        broker.kill()
        assert (await client.http.post("/behaviors", json=click | {"event_id": "f"}, timeout=60)).status_code == 503
        assert await client.items("u") == ["seen"]
        await asyncio.to_thread(start, own_broker, timeout_s=60)
        for _ in range(60):
            if (again := await client.http.post("/behaviors", json=click | {"event_id": "g"})).status_code == 202:
                break
            await asyncio.sleep(0.5)
        assert again.json()["positions"][0]["partition"] == partition
        after = again.json()["after"]
        answer = await client.get("/users/u/recommendations", after=after, wait_ms=5_000)
        assert answer["stale"] is True
        found = {record.offset: record.value for record in consumed(connection.brokers, "behaviors")}
        assert b'"event_id":"g"' in found[again.json()["positions"][0]["offset"]]

    async def go_on(client: Client) -> None:
        assert await client.items("u") == ["seen"]
        assert client.serving.follower.state().lists == 0, "nothing is read twice"

    world.ask(ask)
    world.ask(go_on)
