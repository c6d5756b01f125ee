"""Damaged lines, files that go and files that may not be read: right or an error, never silently nothing."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from job.cli import app
from job.deployment.model_status import read_models
from job.settings.job_settings import load
from job.tables import duck
from job.tables.columns import ColumnType
from job.tables.compaction import Compactor
from job.tables.errors import QueryFailedError, UnreadableTableError
from job.tables.files import Snapshot, snapshot
from job.tables.schema import TABLES
from tests.unit.tables.rows import CLOSED_MS, HOUR, behavior, commit, made_list

pytestmark = pytest.mark.heavy
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


KINDS = {
    ColumnType.INT: "32-bit integer",
    ColumnType.LONG: "64-bit integer",
    ColumnType.DOUBLE: "number",
    ColumnType.BOOLEAN: "boolean",
    ColumnType.STRINGS: "array of texts",
    ColumnType.DOUBLES: "array of numbers",
}
FITTING: dict[ColumnType, list[object]] = {
    ColumnType.STRING: ["", "u", 5, True, [1], {"k": 1}],
    ColumnType.INT: [0, 2**31 - 1, -(2**31)],
    ColumnType.LONG: [0, 2**63 - 1, -(2**63)],
    ColumnType.DOUBLE: [0, -1.5, 1e300, 5e-324, 2**53],
    ColumnType.BOOLEAN: [True, False],
    ColumnType.STRINGS: [[], ["a", "b, c", '"', "\\", "é\n"], [None]],
    ColumnType.DOUBLES: [[], [1, -2.5, 1e300], [None]],
}
MISFITS: dict[ColumnType, list[object]] = {
    ColumnType.INT: [2**31, -(2**31) - 1, 2**63, 2**200, 1e300, "x", "", [1], {"k": 1}],
    ColumnType.LONG: [2**63, -(2**63) - 1, 2**64, 2**200, 1e300, "x", "", [1], {"k": 1}],
    ColumnType.DOUBLE: ["x", "", [1.0], {"k": 1}],
    ColumnType.BOOLEAN: ["x", "", [True], {"k": 1}],
    ColumnType.STRINGS: ["x", 5, True, {"k": 1}],
    ColumnType.DOUBLES: ["x", 5, True, {"k": 1}, [1.0, "x"], [[1.0]], [{"k": 1}]],
}


# Of attempts one damaged line is an error: which rows of all others count depends on it.
@pytest.mark.parametrize("name", sorted(TABLES.keys() - {"attempts"}))
def test_values_that_do_not_fit_their_column_are_null_and_counted(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One line a column and value: first those that fit, a null too, then those that do not, and a torn line."""
    columns = TABLES[name].columns
    fitting = [(column, value) for column in columns for value in [None, *FITTING[column.type]]]
    misfits = [(column, value) for column in columns for value in MISFITS.get(column.type, ())]
    path = commit(tmp_path / name / HOUR, "part-a-0", [])
    whole = {"epoch": 1, TABLES[name].time_column: 1, columns[0].name: 1}
    rows = [{**whole, column.name: value} for column, value in fitting + misfits]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + "torn")
    names = ", ".join(f'"{column.name}"' for column in columns)
    found, warnings = asked(tmp_path, f"SELECT {names} FROM files.{name}")
    cells = [
        dict(zip(columns, row, strict=True))[column] for row, (column, _) in zip(found, fitting + misfits, strict=True)
    ]
    for cell, (column, value) in zip(cells, fitting, strict=False):
        assert (cell is None) == (value is None) if column.type is ColumnType.STRING else cell == value
    assert all(cell is None or (isinstance(cell, list) and None in cell) for cell in cells[len(fitting) :])
    assert warnings == (
        f"1 line of {name} is no row and left out (torn or damaged), in {path}",
        *(
            f"{len(MISFITS[column.type])} lines of {name} have a value in {column.name} that is no {KINDS[column.type]}"
            f" and shown as null, in {path}"
            for column in sorted(columns, key=lambda column: column.name)
            if column.type in MISFITS
        ),
    )
    duck.query(tmp_path, f"SELECT {names} FROM files.{name}")
    assert [record.getMessage() for record in caplog.records] == list(warnings)


def test_a_value_that_fits_is_what_was_written_to_the_last_digit(tmp_path: Path) -> None:
    drawn = random.Random(4)
    scores = [drawn.uniform(-1, 1) * 10 ** drawn.randrange(-300, 300) for _ in range(500)]
    rows = [{"minute": 1, "written_at": place, "freshness_p50_ms": score} for place, score in enumerate(scores)]
    commit(tmp_path / "feedback_metrics" / HOUR, "part-a-0", rows)
    found, warnings = asked(tmp_path, "SELECT freshness_p50_ms FROM files.feedback_metrics ORDER BY written_at")
    assert ([row[0] for row in found], warnings) == (scores, ())


def test_a_value_is_told_only_where_it_is_asked_for(tmp_path: Path) -> None:
    file(tmp_path, [line(1, position="x"), line(2)])
    assert asked(tmp_path) == ([(1,), (2,)], ())
    assert len(asked(tmp_path, 'SELECT log_offset, "position" FROM user_behavior ORDER BY 1')[1]) == 1


@pytest.mark.parametrize(
    ("command", "table"),
    [
        (["sql", "SELECT * FROM user_behavior"], "user_behavior"),
        (["sql", "SELECT * FROM user_behavior", "--json"], "user_behavior"),
        (["lists", "u1"], "user_behavior"),
        (["lists", "u1", "--json"], "recommendation_lists"),
        (["ab", "report"], "recommendation_lists"),
        (["ab", "report", "--json"], "user_behavior"),
    ],
)
def test_every_command_that_reads_a_table_tells_of_damaged_lines(
    command: list[str], table: str, tmp_path: Path
) -> None:
    variants = [{**made_list(version, ["i1"], user=f"u{version}"), "variant": "ab"[version % 2]} for version in (1, 2)]
    commit(tmp_path / "recommendation_lists" / HOUR, "part-a-0", variants)
    file(tmp_path, [line(1)])
    told = f"1 line of {table} is no row and left out"
    whole = CliRunner().invoke(app, [*command, "--tables-dir", str(tmp_path)])
    assert (whole.exit_code, told in whole.stderr) == (0, False)
    commit(tmp_path / table / HOUR, "part-b-0", []).write_bytes(b'{"torn')
    damaged = CliRunner().invoke(app, [*command, "--tables-dir", str(tmp_path)])
    assert (damaged.exit_code, damaged.stderr.count(f"warning: {told}")) == (0, 1)
    assert "torn" not in damaged.stdout


def test_status_tells_of_damaged_lines(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    commit(tmp_path / "model_swaps" / HOUR, "part-a-0", []).write_bytes(b'{"torn')
    read_models(load(overrides=[f"tables.folder={tmp_path}", "lists.policy=history"]))
    assert "1 line of model_swaps is no row" in caplog.text


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


def test_a_file_that_goes_before_its_damaged_lines_are_counted_is_an_error(tmp_path: Path) -> None:
    path = file(tmp_path, [line(1), b"torn"])

    def counted_too_late() -> None:
        with duck.stream(tmp_path, OFFSETS) as answer:
            assert list(answer.rows) == [(1,)]
            path.unlink()
            answer.warnings()

    with pytest.raises(QueryFailedError, match="part-a-0"):
        counted_too_late()


def test_a_table_that_is_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "user_behavior").write_bytes(b"")
    with pytest.raises(UnreadableTableError, match="user_behavior cannot be read"):
        asked(tmp_path)


ANOTHER_USER = 65_534
UNREADABLE = (
    *("user_behavior", "user_behavior/dt=2026-03-01", f"user_behavior/{HOUR}/part-a-0"),
    *(".lock", ".swap.json", ".withdrawn.json"),
    *(f"{table}/{HOUR}" for table in sorted(TABLES)),
)
_ASK = """
import os, sys
from pathlib import Path
import numpy  # DuckDB imports it, which the other user cannot where this environment is below a home
from job.tables import duck
from job.tables.errors import TablesError
if os.geteuid() == 0:
    os.setgroups([]); os.setgid({user}); os.setuid({user})
for folder in sys.argv[1:]:
    try:
        print(duck.query(Path(folder), "SELECT count(*) FROM user_behavior_all").rows)
    except TablesError as error:
        print(type(error).__name__, error)
"""


@pytest.fixture(scope="module")
def refusals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, str]]:
    """Paths below a tables folder that another user may not read, and that user's error; one process asks for all."""
    above = _seen_by_others(tmp_path_factory.mktemp("unreadable"))
    folders = [above / str(number) for number in range(len(UNREADABLE))]
    paths = [folder / below for folder, below in zip(folders, UNREADABLE, strict=True)]
    for folder, path in zip(folders, paths, strict=True):
        for table in TABLES:
            commit(folder / table / HOUR, "part-a-0", [behavior(1)])
        if not path.exists():
            path.write_text("{}")
        path.chmod(0)
    try:
        asked: list[str | Path] = [sys.executable, "-c", _ASK.format(user=ANOTHER_USER), *folders]
        done = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=60)
    finally:
        for path in paths:
            path.chmod(0o755)
    assert done.returncode == 0, done.stderr
    return dict(zip(UNREADABLE, zip(paths, done.stdout.splitlines(), strict=True), strict=True))


@pytest.mark.parametrize("below", UNREADABLE)
def test_what_may_not_be_read_is_an_error_that_names_it(below: str, refusals: dict[str, tuple[Path, str]]) -> None:
    path, error = refusals[below]
    assert error.startswith(f"UnreadableTableError {path} may not be read by this user")


def _seen_by_others(folder: Path) -> Path:
    """A tables folder that any user may read, though pytest's own folders are the user's alone."""
    for each in (folder, *folder.parents):
        if each.stat().st_uid == os.geteuid() and each != Path("/"):
            each.chmod(each.stat().st_mode | 0o055)
    return folder
