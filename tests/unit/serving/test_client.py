"""The typed client, against `recloop serve` as a process of its own, which is killed and started again."""

import signal
import threading

import httpx
import pytest

from job.serving.answers import BehaviorIn
from job.serving.client import Client, RefusedError
from tests.serving.process import served
from tests.unit.serving.lists import list_row
from tests.unit.serving.world import World

pytestmark = pytest.mark.heavy


def test_the_client_reads_what_it_wrote_and_what_was_acknowledged_outlives_a_kill(world: World) -> None:
    world.publish(list_row("u/é", ("a", "b"), log_offset=-1))
    with served(world.folder) as server, Client(server.url) as client:
        sent = BehaviorIn(user_id="u/é", action="click", item_id="a", event_id="e")
        accepted = client.append(sent)
        assert client.append(sent).positions[0].duplicate
        assert client.recommendations("u/é", after=accepted.after, wait_ms=0).stale
        partition, offset = accepted.positions[0].partition, accepted.positions[0].offset
        row = list_row("u/é", ("b",), log_partition=partition, log_offset=offset, list_version=2)
        threading.Timer(0.2, world.publish, (row,)).start()
        answer = client.recommendations("u/é", after=accepted.after, wait_ms=5_000)
        assert (answer.stale, [each.item_id for each in answer.items]) == (False, ["b"])
        assert client.behaviors("u/é")[0].item_id == "a"
        assert client.trending()[0].item_id == "a"
        assert client.health().lists == 2
        with pytest.raises(RefusedError, match="no bundle") as refused:
            client.similar("a")
        assert refused.value.status == 404
        with pytest.raises(RefusedError, match="unknown_action"):
            client.append(BehaviorIn(user_id="u", action="fly", item_id="a"))
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
    with served(world.folder) as server, Client(server.url) as client:
        again = client.append(sent)
        assert (again.positions[0].duplicate, again.after) == (True, accepted.after)
        assert client.recommendations("u/é", after=accepted.after, wait_ms=5_000).stale is False
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(60) in {0, 130}


def test_events_come_as_they_are_published(world: World) -> None:
    published = threading.Event()

    def publish() -> None:
        version = 1
        while not published.wait(0.05):  # whoever subscribes late gets the next one
            world.publish(list_row("u", ("b",), list_version=version))
            version += 1

    with served(world.folder) as server, Client(server.url) as client:
        thread = threading.Thread(target=publish)
        thread.start()
        try:
            kind, payload = next(client.events("u"))
            assert (kind, payload["items"]) == ("list", ["b"])
        finally:
            published.set()
            thread.join()


def test_an_open_stream_ends_with_the_server_and_not_in_a_trace(world: World) -> None:
    with served(world.folder) as server, httpx.stream("GET", f"{server.url}/events", timeout=60) as stream:
        lines = stream.iter_lines()
        assert next(lines) == ": following"
        server.process.send_signal(signal.SIGINT)
        assert list(lines) == [""]
        assert server.process.wait(60) in {0, 130}
