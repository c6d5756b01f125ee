"""Damaged lines, files that go and files that may not be read: right or an error, never silently nothing."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from job.tables import duck
from job.tables.compaction import Compactor
from job.tables.errors import QueryFailedError, UnreadableTableError
from job.tables.files import Snapshot, snapshot
from job.tables.schema import TABLES
from tests.unit.tables.rows import CLOSED_MS, HOUR, behavior, commit

OFFSETS = "SELECT log_offset FROM user_behavior_all ORDER BY 1"
NO_ROWS = [
    b"garbage",
    b"{}",
    b"null",
    b"[1, 2]",
    b"5",
    b'{"user_id": "torn',
    b"\0" * 300,
    b'{"user_id": "\xff", "log_partition": 0, "log_offset": 9, "epoch": 1}',
    b'{"user_id": "u", "log_partition": 0, "log_offset": 9, "epoch": 1',
]


def line(offset: int, **more: object) -> bytes:
    return json.dumps({**behavior(offset), **more}).encode()


def file(tables_dir: Path, lines: list[bytes], *, name: str = "part-a-0", end: bytes = b"\n") -> Path:
    path = commit(tables_dir / "user_behavior" / HOUR, name, [])
    path.write_bytes(b"\n".join(lines) + end)
    return path


def asked(tables_dir: Path, sql: str = OFFSETS) -> tuple[list[tuple[object, ...]], tuple[str, ...]]:
    with duck.stream(tables_dir, sql) as answer:
        return list(answer.rows), answer.warnings()


@pytest.mark.parametrize("damaged", NO_ROWS)
def test_a_line_that_is_no_row_is_told_and_keeps_no_other_from_being_read(damaged: bytes, tmp_path: Path) -> None:
    path = file(tmp_path, [line(1), damaged, line(2)])
    told = f"1 line of user_behavior is no row and left out (torn or damaged), in {path}"
    for sql in (OFFSETS, "SELECT count(*) FROM user_behavior", "SELECT max(item_id) FROM files.user_behavior"):
        rows, warnings = asked(tmp_path, sql)
        assert warnings == (told,)
        assert rows in ([(1,), (2,)], [(2,)], [("i1",)])


@settings(max_examples=15, deadline=None)
@given(st.lists(st.sampled_from(NO_ROWS) | st.none(), max_size=8), st.binary(max_size=8))
def test_every_row_between_damaged_lines_is_read_before_and_after_compaction(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes | None], torn: bytes
) -> None:
    tables_dir = tmp_path_factory.mktemp("tables")
    whole = [line(offset) if damaged is None else damaged for offset, damaged in enumerate(lines)]
    file(tables_dir, whole, end=b"\n" + torn.replace(b"\n", b"") if whole else b"")
    file(tables_dir, [line(100)], name="part-b-0", end=b"")
    expected = [(offset,) for offset, damaged in enumerate(lines) if damaged is None] + [(100,)]
    assert asked(tables_dir)[0] == expected
    Compactor(tables_dir).run_once(CLOSED_MS)
    assert asked(tables_dir)[0] == expected


def test_a_row_that_lacks_some_columns_is_a_row(tmp_path: Path) -> None:
    file(tmp_path, [b'{"user_id": "u", "timestamp": 1}', b'{"log_offset": 9}'])
    assert asked(tmp_path, "SELECT count(*) FROM files.user_behavior") == ([(2,)], ())


def test_lines_of_many_files_are_counted_together(tmp_path: Path) -> None:
    file(tmp_path, [b"x", line(1), b"y"])
    file(tmp_path, [b"z"], name="part-b-0")
    file(tmp_path, [line(2)], name="part-c-0")
    rows, (warning,) = asked(tmp_path)
    assert rows == [(1,), (2,)]
    assert warning.startswith("3 lines of user_behavior are no row")
    assert warning.endswith("part-a-0 and 1 more files")


def test_a_number_beyond_its_column_is_null_and_told_where_it_is_asked_for(tmp_path: Path) -> None:
    file(tmp_path, [line(1, position=2**31), line(2, position=-(2**31)), line(3, position=2**31 - 1)])
    rows, warnings = asked(tmp_path, 'SELECT log_offset, "position" FROM user_behavior ORDER BY 1')
    assert rows == [(1, None), (2, -(2**31)), (3, 2**31 - 1)]
    assert warnings == ("user_behavior has numbers in position that are beyond 32 bits: they are shown as null",)
    assert asked(tmp_path) == ([(1,), (2,), (3,)], ())


@pytest.mark.parametrize("time_ms", [2**62, -(2**62), 253_402_300_800_000, -62_135_596_800_001])
def test_a_time_beyond_the_calendars_is_no_time_and_keeps_no_row_from_being_read(time_ms: int, tmp_path: Path) -> None:
    file(tmp_path, [line(1, timestamp=time_ms), line(2)])
    rows, _ = asked(tmp_path, 'SELECT "timestamp", event_time IS NULL FROM user_behavior ORDER BY log_offset')
    assert rows == [(time_ms, True), (1_700_000_000_123, False)]


@pytest.mark.parametrize("content", [b"", b"\n", b"\n\n"])
def test_a_file_of_nothing_is_no_row_and_no_fault(content: bytes, tmp_path: Path) -> None:
    file(tmp_path, [], end=content)
    assert asked(tmp_path) == ([], ())


@pytest.mark.parametrize("parents", ["dt=2020-01-01", "dt=2020-01-01/hour=99/x", "[a]*?", "a b/é", "hour=1", "o'hara"])
def test_day_and_hour_are_of_the_innermost_folders(parents: str, tmp_path: Path) -> None:
    tables_dir = tmp_path / parents
    file(tables_dir, [line(1)])
    assert asked(tables_dir, 'SELECT dt, "hour" FROM user_behavior')[0] == [("2026-03-01", "09")]
    assert asked(tables_dir, "SELECT count(*) FROM user_behavior WHERE dt = '2020-01-01'")[0] == [(0,)]


def test_only_files_of_the_asked_days_are_read(tmp_path: Path) -> None:
    commit(tmp_path / "user_behavior" / "dt=2026-02-01" / "hour=00", "part-a-0", [behavior(1)])
    file(tmp_path, [b"damaged"])
    assert asked(tmp_path, "SELECT count(*) FROM user_behavior_all WHERE dt = '2026-02-01'") == ([(1,)], ())


def test_a_file_that_goes_while_it_is_read_is_an_error(tmp_path: Path) -> None:
    path = file(tmp_path, [line(1)])
    with duck.connect(tmp_path) as connection:
        path.unlink()
        with pytest.raises(QueryFailedError):
            duck.run(connection, OFFSETS)


def test_a_file_that_goes_before_it_is_opened_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = file(tmp_path, [line(1)])

    @contextmanager
    def listed_and_gone(tables_dir: Path) -> Iterator[Snapshot]:
        files = snapshot(tables_dir)
        path.unlink()
        yield files

    monkeypatch.setattr(duck, "reading", listed_and_gone)
    with pytest.raises(QueryFailedError, match="part-a-0"):
        asked(tmp_path)


def test_a_table_that_is_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "user_behavior").write_bytes(b"")
    with pytest.raises(UnreadableTableError, match="user_behavior cannot be read"):
        asked(tmp_path)


ANOTHER_USER = 65_534
_UNREADABLE = ("user_behavior", "user_behavior/dt=2026-03-01", f"user_behavior/{HOUR}/part-a-0", ".lock", ".swap.json")
_ASK = """
import os, sys
from pathlib import Path
from job.tables import duck
from job.tables.errors import TablesError
if os.geteuid() == 0:
    os.setgroups([]); os.setgid({user}); os.setuid({user})
try:
    print(duck.query(Path(sys.argv[1]), "SELECT count(*) FROM user_behavior_all").rows)
except TablesError as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize("below", [*_UNREADABLE, *(f"{table}/{HOUR}" for table in sorted(TABLES))])
def test_what_may_not_be_read_is_an_error_that_names_it(below: str, tmp_path: Path) -> None:
    tables_dir = _seen_by_others(tmp_path)
    for table in TABLES:
        commit(tables_dir / table / HOUR, "part-a-0", [behavior(1)])
    path = tables_dir / below
    if not path.exists():
        path.write_text("{}")
    path.chmod(0)
    try:
        asked = [sys.executable, "-c", _ASK.format(user=ANOTHER_USER), str(tables_dir)]
        said = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=60)
    finally:
        path.chmod(0o755)
    assert said.stdout.startswith(f"UnreadableTableError {path} may not be read by this user"), said.stderr


def _seen_by_others(folder: Path) -> Path:
    """A tables folder that any user may read, though pytest's own folders are the user's alone."""
    for each in (folder, *folder.parents):
        if each.stat().st_uid == os.geteuid() and each != Path("/"):
            each.chmod(each.stat().st_mode | 0o055)
    return folder
