"""The store equals the readers' rule, whatever is published in which order, and wherever a server starts again."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from job.replay.log_writer import create_log
from job.serving.errors import ServingError
from job.serving.events import Events
from job.serving.follower import Follower
from job.serving.history import KEPT, History, Place
from job.serving.store import ListStore
from job.serving.trending import Trending
from model.actions import DEFAULT_ACTIONS
from tests.unit.serving.lists import behavior, list_row
from tests.unit.serving.world import World
from tests.unit.udfs.default_rules import PARSING
from udfs.elements import LoggedBehavior, without_log
from udfs.log.file_log import FileLog, partition_file
from udfs.publishing.list_files import ListFile
from udfs.publishing.publication import newest_lists
from udfs.rows import to_lines
from udfs.trends.trends import TrendRules

TRENDS = TrendRules(half_life_ms=3_600_000, capacity=100, size=10, interval_ms=0)
PUBLISHED = st.tuples(
    st.sampled_from(["u", "v", "w/é"]), st.integers(1, 3), st.integers(1, 4), st.integers(0, 1), st.integers(0, 9)
)
STEPS = st.lists(st.one_of(PUBLISHED, st.sampled_from(["restart", "follow", "half a line", "no list"])), max_size=40)


@contextmanager
def follower(folder: Path) -> Iterator[tuple[ListStore, Follower]]:
    with ListStore(folder / "store") as store:
        following = Follower(
            store,
            behaviors=FileLog(folder / "log"),
            lists=FileLog(folder / "lists"),
            rules=PARSING,
            event_ids_limit=64,
            trending=Trending(store, TRENDS, DEFAULT_ACTIONS),
            events=Events(),
            poll_s=0.01,
        )
        try:
            yield store, following
        finally:
            following.stop()


@given(STEPS)
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
def test_the_store_holds_what_the_readers_rule_says(steps: list[tuple[str, int, int, int, int] | str]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        create_log(folder / "log", 1)
        create_log(folder / "lists", 2)
        files = [ListFile(folder / "lists", partition) for partition in range(2)]
        opened = follower(folder)
        store, following = opened.__enter__()
        read: list[bytes] = []
        unread: list[list[bytes]] = [[], []]
        for step in steps:
            if isinstance(step, tuple):
                user, epoch, version, partition, item = step
                line = to_lines([list_row(user, (str(item),), epoch=epoch, list_version=version)])
                files[partition].append(line)
                unread[partition].append(line.encode())
            elif step == "no list":
                files[0].append('{"user_id": 7}')
            elif step == "half a line":
                files[1].close()
                with partition_file(folder / "lists", 1).open("ab") as torn:
                    torn.write(b'{"user_id": "u", "epo')
                files[1] = ListFile(folder / "lists", 1)
            elif step == "restart":
                opened.__exit__(None, None, None)
                opened = follower(folder)
                store, following = opened.__enter__()
            else:
                following.follow_once()
                read += unread[0] + unread[1]
                unread = [[], []]
        following.follow_once()
        expected = newest_lists([*read, *unread[0], *unread[1]])
        found = {user: store.list_of(user) for user in store.users()}
        assert {user: (row.order, row.items) for user, row in expected.items()} == {
            user: ((row.epoch, row.list_version), row.items) for user, row in found.items() if row is not None
        }
        opened.__exit__(None, None, None)
        for file in files:
            file.close()


def test_a_file_of_lists_that_grew_is_written_anew_and_readers_follow(tmp_path: Path) -> None:
    create_log(tmp_path / "log", 1)
    create_log(tmp_path / "lists", 1)
    file = ListFile(tmp_path / "lists", 0, rewrite_bytes=20_000)
    with follower(tmp_path) as (store, following):
        for version in range(1, 200):
            file.append(to_lines([list_row(user, (f"{version}",), list_version=version) for user in ("u", "v")]))
            following.follow_once()
        following.follow_once()  # the poll that finds a new file only begins anew
        wait_past_retry(following)
        for user in ("u", "v"):
            found = store.list_of(user)
            assert found is not None
            assert found.items == ["199"]
    file.close()
    assert partition_file(tmp_path / "lists", 0).stat().st_size < 2 * 20_000
    assert [path.name for path in (tmp_path / "lists").glob(".*.draft")] == []


def wait_past_retry(following: Follower) -> None:
    from model.waiting import wait_until

    def is_read() -> bool:
        return not following.follow_once() and following.state().problem is None

    assert wait_until(is_read, timeout_s=30, poll_s=0.05)


def test_another_log_in_its_place_begins_the_behaviours_anew(world: World) -> None:
    world.log(*(behavior(item_id=str(number)) for number in range(5)))
    with follower(world.folder) as (store, following):
        following.follow_once()
        assert len(store.behaviors_of("u")) == 5
        for file in (world.folder / "log").glob("*.jsonl"):
            file.unlink()
        world.log(behavior(item_id="new"))
        following.follow_once()
        wait_past_retry(following)
        assert [each.item_id for each in store.behaviors_of("u")] == ["new"]


def test_a_second_process_is_told_to_take_its_own_store(tmp_path: Path) -> None:
    with ListStore(tmp_path), pytest.raises(ServingError, match="--store"):
        ListStore(tmp_path)


def logged(offset: int, event_id: str | None = None) -> LoggedBehavior:
    found = without_log(behavior(item_id=str(offset), event_id=event_id))
    return msgspec.structs.replace(found, log_offset=offset)


def test_a_history_keeps_the_newest_and_knows_what_it_forgot() -> None:
    history = History()
    for offset in range(KEPT + 5):
        assert history.add(logged(offset * 2), 64)
    assert [each.log_offset for each in history.behaviors] == [offset * 2 for offset in range(5, KEPT + 5)]
    assert history.needed_offset(Place(0, 21)) == 20
    assert history.needed_offset(Place(0, 3)) == 3, "what it forgot may have changed the list"
    assert History().needed_offset(Place(0, 3)) is None


def test_a_history_drops_the_events_that_the_job_drops() -> None:
    history = History()
    assert history.add(logged(0, "a"), 2)
    assert not history.add(logged(1, "a"), 2)
    assert history.place_of("a") == Place(0, 0)
    history.add(logged(2, "b"), 2)
    history.add(logged(3, "c"), 2)
    assert history.place_of("a") is None
    assert history.add(logged(4, "a"), 2), "beyond the limit the job applies it again"
    assert [each.log_offset for each in history.behaviors] == [0, 2, 3, 4]
