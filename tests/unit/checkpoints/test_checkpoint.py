"""What a checkpoint holds: users, lists, offsets and items, and what changed from one to another."""

import os
from array import array
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from job.checkpoints.checkpoint import Checkpoint, metadata_file
from job.checkpoints.compare import PartitionMove, compare
from job.checkpoints.contents import CheckpointError, Contents
from job.checkpoints.found import find_checkpoints, newest_by
from job.checkpoints.item_names import ItemNames
from job.checkpoints.overview import read_overview
from job.checkpoints.state_rows import STATE_TABLES, UserRow, rows_of, rows_of_user
from job.tables.columns import columns_of
from tests.unit.checkpoints.stored import checkpoint, of_users, operator, savepoint_file
from udfs.hashing import HASH_TYPECODE, id_hash
from udfs.lists.entries import ReasonCode
from udfs.lists.user_list import UserList
from udfs.log.position import LogPosition
from udfs.users.profile import TIME_TYPECODE, Shown, UserProfile

JOB = "0123456789abcdef0123456789abcdef"
PROFILE = UserProfile(
    user_seq=4,
    items=array(HASH_TYPECODE, map(id_hash, ["i1", "i2"])),
    actions=bytearray((2, 40)),
    times=array(TIME_TYPECODE, [10, 20]),
    bought=array(HASH_TYPECODE, [id_hash("i3")]),
    shown={id_hash("i9"): Shown(2.0, 1)},
)
LIST = UserList(3, 4, ["i1", "i3"], array("f", [1.0, 0.5]), [ReasonCode.MODEL, "i2"])


def made(folder: Path, **more: Any) -> Checkpoint:
    given: dict[str, Any] = {
        "profiles": {"u": PROFILE, "é😀": UserProfile(user_seq=1)},
        "lists": {"u": LIST},
        "positions": [LogPosition(0, 12, epoch=5), LogPosition(1, 7)],
        "trends": {"i2": 2.5},
    }
    return checkpoint(folder, **{**given, **more})


def test_everything_that_was_stored_is_read(tmp_path: Path) -> None:
    found = made(tmp_path / "chk")
    assert dict(found.profiles()) == {"u": PROFILE, "é😀": UserProfile(user_seq=1)}
    assert dict(found.lists()) == {"u": LIST}
    assert dict(found.trends()) == {"i2": 2.5}
    assert [(each.partition, each.next_offset) for each in found.positions()] == [(0, 12), (1, 7)]


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5))
def test_one_user_is_found_among_others(tmp_path_factory: pytest.TempPathFactory, user: str) -> None:
    users = {f"other-{number}": UserProfile(user_seq=9) for number in range(40)}
    folder = tmp_path_factory.mktemp("users") / "chk"
    found = checkpoint(folder, profiles={**users, user: UserProfile(user_seq=2)}).user(user)
    assert found.profile == UserProfile(user_seq=2)
    assert found.user_list is None


def test_items_have_their_ids_where_the_checkpoint_knows_them(tmp_path: Path) -> None:
    found = made(tmp_path / "chk")
    rows = rows_of_user(found.user("u"), ItemNames.of(found))
    assert rows.profile is not None
    assert rows.list is not None
    assert (rows.profile.history, rows.profile.history_actions) == (["i1", "i2"], ["click", "code 40"])
    assert rows.profile.bought == ["i3"]
    assert rows.profile.shown == [f"#{id_hash('i9') & 2**64 - 1:016x}"]
    assert rows.list.reasons == ["model", "because:i2"]
    assert not found.user("nobody").known


def test_each_table_has_the_columns_of_its_rows(tmp_path: Path) -> None:
    tables = {name: list(rows) for name, rows in rows_of(made(tmp_path / "chk"))}
    assert tables.keys() == STATE_TABLES.keys()
    for name, rows in tables.items():
        assert rows
        for row in rows:
            assert list(msgspec.to_builtins(row)) == [column.name for column in columns_of(STATE_TABLES[name])]
    users = {row.user_id: row.history for row in tables["users"] if isinstance(row, UserRow)}
    assert users == {"u": ["i1", "i2"], "é😀": []}


def test_the_overview_counts_entries_and_bytes(tmp_path: Path) -> None:
    found = read_overview(made(tmp_path / "chk"))
    assert (found.number, found.users, found.lists) == (7, 2, 1)
    assert {each.uid for each in found.operators} == {"poll-log", "track-users", "update-lists", "find-trends"}
    (state,) = next(each.states for each in found.operators if each.uid == "track-users")
    assert (state.name, state.entries) == ("user_profile", 2)
    assert state.bytes > 100


def test_a_difference_names_who_came_and_whose_state_changed(tmp_path: Path) -> None:
    newer = {"u": UserProfile(user_seq=5), "new": UserProfile()}
    positions = [LogPosition(0, 14), LogPosition(1, 7), LogPosition(2, 1)]
    found = compare(made(tmp_path / "a"), made(tmp_path / "b", profiles=newer, positions=positions))
    assert (found.added, found.gone, found.changed, found.lists_changed) == (["new"], ["é😀"], ["u"], [])
    assert found.partitions == [PartitionMove(0, 12, 14), PartitionMove(1, 7, 7), PartitionMove(2, None, 1)]
    assert {each.uid for each in found.operators} <= {"poll-log", "track-users"}
    same = compare(made(tmp_path / "c"), made(tmp_path / "d"))
    assert (same.operators, same.added, same.gone, same.changed, same.lists_changed) == ([], [], [], [], [])


@pytest.mark.parametrize("stored", [b"", b"\x09", b"\x02", b"\x02\x01", b"\x02\xc1", b"\x02\x9a" + b"\xc0" * 10])
def test_state_that_no_release_wrote_is_refused_by_name(stored: bytes, tmp_path: Path) -> None:
    keyed = savepoint_file(tmp_path / "file", of_users("user_profile", {"u": stored}))
    found = Checkpoint(tmp_path, Contents(checkpoint_id=1, operators=(operator("track-users", keyed),)))
    with pytest.raises(CheckpointError, match=r"damaged in the state user_profile|state has version"):
        list(found.profiles())


def test_a_checkpoint_of_another_job_is_refused_with_its_operators(tmp_path: Path) -> None:
    found = Checkpoint(tmp_path, Contents(checkpoint_id=1, operators=(operator("their-map"),)))
    with pytest.raises(CheckpointError, match=r"no operator poll-log, so it is not of this job: .* their-map"):
        found.positions()


@pytest.fixture
def cluster(tmp_path: Path) -> Path:
    """A cluster's folder with three checkpoints of two jobs and a savepoint, a second apart."""
    names = (f"checkpoints/{JOB}/chk-3", f"checkpoints/{JOB[::-1]}/chk-9", f"savepoints/savepoint-{JOB[:6]}-1a2b")
    for second, name in enumerate([*names, f"checkpoints/{JOB}/chk-5"]):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        (folder / "_metadata").write_bytes(b"")
        os.utime(folder / "_metadata", (1_000 + second, 1_000 + second))
    (tmp_path / f"checkpoints/{JOB}/chk-6").mkdir()
    return tmp_path


def test_the_checkpoints_of_a_folder_and_of_a_job_are_found_oldest_first(cluster: Path) -> None:
    every = find_checkpoints(str(cluster), cluster)
    assert [each.path.name for each in every] == ["chk-3", "chk-9", f"savepoint-{JOB[:6]}-1a2b", "chk-5"]
    of_job = find_checkpoints(JOB, cluster)
    assert [each.path.name for each in of_job] == ["chk-3", f"savepoint-{JOB[:6]}-1a2b", "chk-5"]
    assert [each.is_savepoint for each in of_job] == [False, True, False]
    assert [each.path for each in find_checkpoints(str(of_job[0].path), cluster)] == [of_job[0].path]


@pytest.mark.parametrize("where", ["nothing", "../etc", "", "\x00", "[/red]"])
def test_what_is_neither_a_folder_nor_a_job_is_refused(where: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"is no folder, and no job|has no checkpoint or savepoint"):
        find_checkpoints(where, tmp_path)


def test_a_moment_has_the_newest_checkpoint_that_was_complete_by_then(cluster: Path) -> None:
    found = find_checkpoints(str(cluster), cluster)
    assert newest_by(found, 1_002_999).path.name.startswith("savepoint")
    assert newest_by(found, 10**12) == found[-1]
    with pytest.raises(CheckpointError, match="the oldest checkpoint that is retained"):
        newest_by(found, 999_999)


def test_a_folder_without_metadata_is_no_checkpoint(cluster: Path) -> None:
    folder = cluster / f"checkpoints/{JOB}"
    assert metadata_file(folder / "chk-3") == metadata_file(Path(f"file:{folder}/chk-3/_metadata"))
    with pytest.raises(CheckpointError, match="chk-6 is no checkpoint or savepoint"):
        metadata_file(folder / "chk-6")


def test_the_tables_of_state_have_types_that_duckdb_knows() -> None:
    from job.tables.dialect import DUCKDB_TYPES

    with duckdb.connect(":memory:") as connection:
        for name, row in STATE_TABLES.items():
            columns = ", ".join(f'"{each.name}" {DUCKDB_TYPES[each.type]}' for each in columns_of(row))
            connection.execute(f"CREATE TABLE {name} ({columns})")
