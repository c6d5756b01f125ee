"""Every entry of a savepoint's file and of RocksDB's files is read as it was written, and nothing else is."""

from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job.checkpoints.contents import CheckpointError, KeyedState, RocksFiles
from job.checkpoints.entries import entries
from job.checkpoints.serialized import StateKey, group_prefix, state_key, state_value, text
from tests.unit.checkpoints.stored import Entries, rocks_files, savepoint_file, stored_key, stored_text, stored_value
from udfs.buckets import key_group

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
drawn: st.SearchStrategy[Entries] = st.lists(
    st.tuples(st.sampled_from(["one", "two", "three"]), st.integers(0, 200), texts | st.none(), st.binary(max_size=20)),
    min_size=1,
    max_size=12,
    unique_by=lambda each: each[:3],
).map(lambda rows: [(name, stored_key(key, user), value) for name, key, user, value in rows])
FEW: Entries = [(name, stored_key(key, "u"), bytes((key,)) * key) for name in ("one", "two") for key in range(1, 9)]


def read(keyed: KeyedState, group: int | None = None) -> Entries:
    prefix = b"" if group is None else group_prefix(group, 32)
    return sorted((each.state, each.key, each.value) for each in entries(keyed, group, prefix))


@given(drawn, st.booleans())
def test_a_savepoint_is_read_as_it_was_written(written: Entries, compressed: bool) -> None:
    with TemporaryDirectory() as folder:
        keyed = savepoint_file(Path(folder) / "file", written, compressed=compressed)
        assert read(keyed) == sorted(written)
        group = written[0][1][0]
        assert read(keyed, group) == sorted(each for each in written if each[1][0] == group)


@given(st.data())
def test_a_savepoint_that_was_cut_is_refused(data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        keyed = savepoint_file(path, FEW, compressed=data.draw(st.booleans()))
        content = path.read_bytes()
        path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
        with pytest.raises(CheckpointError, match=r"damaged in key group|cannot be read"):
            read(keyed)


@given(st.data())
def test_a_savepoint_with_other_bytes_in_it_gives_entries_or_is_refused(data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        keyed = savepoint_file(path, FEW, compressed=data.draw(st.booleans()))
        content = bytearray(path.read_bytes())
        for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=5)):
            content[place] = data.draw(st.integers(0, 255))
        path.write_bytes(content)
        with suppress(CheckpointError):
            assert {name for name, _, _ in read(keyed)} <= {"one", "two"}


@pytest.mark.parametrize("group", [None, key_group(3, 32)])
def test_a_checkpoint_of_rocksdb_is_read_as_it_was_written(group: int | None, tmp_path: Path) -> None:
    timers = [("_timer_state/processing_user-timers", stored_key(1), b"")]
    keyed = rocks_files(tmp_path / "db", [*FEW, *timers])
    assert read(keyed, group) == sorted(each for each in FEW if group in {None, each[1][0]})


def test_a_key_group_of_another_subtask_has_no_entries_here(tmp_path: Path) -> None:
    keyed = rocks_files(tmp_path / "db", FEW)
    assert read(RocksFiles(first_group=0, last_group=3, files=keyed.files), 4) == []


def test_a_file_that_flink_deleted_meanwhile_is_named(tmp_path: Path) -> None:
    keyed = rocks_files(tmp_path / "db", FEW)
    gone = next(path for path in keyed.files.values() if path.endswith(".sst"))
    Path(gone).unlink()
    with pytest.raises(CheckpointError, match=r"cannot be read .* a running job deletes checkpoints"):
        read(keyed)


def test_a_damaged_file_of_rocksdb_is_refused(tmp_path: Path) -> None:
    keyed = rocks_files(tmp_path / "db", FEW)
    for path in map(Path, keyed.files.values()):
        if path.suffix == ".sst":
            path.write_bytes(path.read_bytes()[:-9] + b"x" * 9)
    with pytest.raises(CheckpointError, match="RocksDB cannot read the state of key groups 0 to 31"):
        read(keyed)


def test_a_name_that_leads_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    keyed = RocksFiles(first_group=0, last_group=31, files={"../../file": str(tmp_path / "file")})
    with pytest.raises(CheckpointError, match="no name of a file"):
        read(keyed)


@given(texts)
def test_a_string_of_flinks_is_read_back(written: str) -> None:
    assert text(stored_text(written)) == written


@given(st.binary(max_size=12))
def test_other_bytes_are_no_string_or_the_one_that_is_written_so(stored: bytes) -> None:
    try:
        found = text(stored)
    except ValueError:
        return
    assert text(stored_text(found)) == found


@given(st.integers(0, 2**31 - 1), texts | st.none(), st.sampled_from([1, 32, 128, 129, 4096]))
def test_a_key_is_read_back(key: int, user: str | None, buckets: int) -> None:
    expected = StateKey(key_group(key, buckets), key, user)
    assert state_key(stored_key(key, user, buckets), buckets) == expected


@given(st.binary(max_size=20), st.sampled_from([32, 129]), st.booleans())
def test_other_bytes_are_a_key_or_value_or_are_refused(stored: bytes, buckets: int, in_map: bool) -> None:
    with suppress(ValueError):
        key = state_key(stored, buckets)
        assert (key.map_key is None) == (len(stored) == (7 if buckets == 32 else 8))
    with suppress(ValueError):
        assert stored_value(state_value(stored, in_map=in_map), in_map=in_map) == stored
