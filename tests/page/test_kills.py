"""Kill -9 of the server, of a TaskManager and of the broker under a page in use: it says so, comes back by itself, and
nothing is lost that was answered 202."""

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from job.cluster import RunningCluster
from job.kafka.broker import BrokerSpec, find, start
from job.kafka.topics import create_topic, end_offsets
from job.serving.client import Client
from model.bundles.bundle import Bundle
from tests.job.fixtures import PARTITIONS, Deploy
from tests.job.waiting import wait_until
from tests.kafka.published import consumed
from tests.page.browser import Watched, browser_at, watched
from tests.serving.process import served
from tests.serving.sender import USERS, Sender
from udfs.kafka.connection import KafkaConnection

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.slow,
    pytest.mark.heavy,
    # kafka-python leaves the sockets of failed connections to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
BACK = 180_000
"""The longest wait until the page has noticed something, or is as before, ms."""
WAIT_S = 120
PAUSE_S = 0.1


@pytest.fixture(autouse=True)
def _leftovers_are_this_test_s() -> Iterator[None]:
    yield
    gc.collect()


def test_whatever_is_killed_the_page_says_so_and_comes_back(
    cluster: RunningCluster,
    run_job: Deploy,
    own_broker: BrokerSpec,
    bundle: Bundle,
    chromium: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broker = find(own_broker.directory)
    assert broker is not None
    connection = KafkaConnection(brokers=broker.bootstrap)
    create_topic(connection, "behaviors", PARTITIONS)
    create_topic(connection, "lists", 2, {"cleanup.policy": "compact"})
    given = ("log.kind=kafka", f"kafka.brokers={broker.bootstrap}", "log.topic=behaviors", "publish.lists_topic=lists")
    run = run_job(None, *given)
    monkeypatch.setenv("RECLOOP_SERVE_CLUSTER", str(cluster.directory))
    settings = (*given, "publish.lists_folder=null", f"scoring.bundle={bundle.path}")
    with browser_at(chromium) as browser, watched(browser) as live, watched(browser) as seen:
        with served(tmp_path, settings) as server:
            sender = Sender(server.port, pause_s=PAUSE_S)
            wait_until(lambda: len(sender.acknowledged) > USERS, timeout_s=WAIT_S, what="a click of everybody")
            live.page.goto(f"{server.url}/page/")
            expect(live.page.locator("#job")).to_have_attribute("data-state", "running", timeout=BACK)
            seen.page.goto(f"{server.url}/page/users/user-0")
            wait_for_effect(seen)

            server.process.kill()
            server.process.wait()
            for page in (seen, live):
                expect(trouble(page)).to_contain_text("The server does not answer", timeout=BACK)
        with served(tmp_path, settings, port=server.port):
            for page in (seen, live):
                expect(trouble(page)).not_to_contain_text("The server does not answer", timeout=BACK)
            wait_for_effect(seen)

            cluster.kill_task_manager(0)
            expect(live.page.locator("#job")).to_have_attribute("data-state", "recovering", timeout=BACK)
            expect(trouble(seen)).to_contain_text("coming back", timeout=BACK)
            wait_for_effect(seen)
            expect(live.page.locator("#job")).to_have_attribute("data-state", "running", timeout=BACK)

            before = len(sender.acknowledged)
            broker.kill()
            for page in (seen, live):
                expect(trouble(page)).to_contain_text("Kafka does not answer", timeout=BACK)
            click_first(seen)
            expect(effect(seen)).to_have_attribute("data-state", "bad", timeout=BACK)
            expect(effect(seen)).to_contain_text("did not take the behaviours")
            start(own_broker, timeout_s=WAIT_S)
            for page in (seen, live):
                expect(trouble(page)).to_be_hidden(timeout=BACK)
            wait_for_effect(seen)
            wait_until(
                lambda: len(sender.acknowledged) > before + USERS, timeout_s=WAIT_S, what="clicks after the broker"
            )
            sender.end()
            with Client(server.url) as client:
                for user, after in sender.newest().items():
                    wait_for_list(client, user, after)
        run.wait_for_offsets(sum(end_offsets(connection, "behaviors").values()))
        applied = [str(event) for (event,) in run.rows("SELECT event_id FROM user_behavior WHERE outcome = 'applied'")]
        assert sender.acknowledged.keys() <= set(applied)
        assert len(applied) == len(set(applied))
        values = {
            f"{record.partition}:{record.offset}": record.value for record in consumed(broker.bootstrap, "behaviors")
        }
        for event, place in sender.acknowledged.items():
            assert f'"{event}"'.encode() in values[place]
        for page in (seen, live):
            assert [each for each in page.console_but_connections() if "422" not in each] == []


def trouble(page: Watched) -> Locator:
    return page.page.locator("#trouble")


def effect(page: Watched) -> Locator:
    return page.page.locator("#effect")


def click_first(page: Watched) -> None:
    page.page.locator('#list button[data-act="click"]').first.click()


def wait_for_effect(page: Watched) -> None:
    """Clicks on the first item, and waits until the list that follows is on the page."""
    click_first(page)
    expect(effect(page)).to_have_attribute("data-state", "good", timeout=BACK)


def wait_for_list(client: Client, user: str, after: str) -> None:
    """Until the user's list has seen a place in the log."""
    wait_until(
        lambda: client.recommendations(user, after=after, wait_ms=5_000).stale is False,
        timeout_s=WAIT_S,
        what=f"the list of {user}",
    )
