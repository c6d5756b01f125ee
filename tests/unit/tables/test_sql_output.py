"""What `recloop sql` writes for programs: every value whole in each format, and files whole or not at all."""

import csv
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import duckdb
import msgspec
import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table as RichTable
from rich.text import Text
from typer.testing import CliRunner, Result

from job.commands import lists, sql
from job.commands.output import Screen, print_json, print_line, warn
from job.tables import duck, statements
from job.tables.errors import ExportError
from job.tables.export import export
from job.tables.formats import Format, Values, chunks
from job.tables.query import QueryStream
from tests.unit.tables.rows import HOUR, behavior, commit, made_list

pytestmark = pytest.mark.heavy
app = typer.Typer()
app.command()(sql.sql)
app.command()(lists.lists)
TRICKY = 'a "quoted", [bold]text[/bold] \x1b[31m\r\n\u2028\0 é'


@pytest.fixture
def tables_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "tables"
    commit(folder / "user_behavior" / HOUR, "part-a-0", [behavior(0, item=TRICKY), behavior(1, item="b")])
    commit(folder / "recommendation_lists" / HOUR, "part-a-0", [made_list(1, [TRICKY, "b"])])
    return folder


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def ask(
    tables_dir: Path, *arguments: str | Path, sql: str = "SELECT * FROM user_behavior ORDER BY log_offset"
) -> Result:
    return call("sql", sql, "--tables-dir", tables_dir, *arguments)


def written(columns: tuple[str, ...], rows: list[tuple[object, ...]], form: Format) -> str:
    answer = QueryStream(columns, iter(rows), tuple)
    return b"".join(chunks(answer, form, Values())).decode()


texts = st.text(max_size=6) | st.sampled_from(["", " x", "a,b", '"', "\r\n", "\0", "\u2028"])
scalars = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | texts
values = scalars | st.lists(scalars, max_size=3)


@given(st.lists(st.tuples(values, values), max_size=5))
def test_json_holds_every_value(rows: list[tuple[object, ...]]) -> None:
    expected = [{"a": named(one), "a_2": named(two)} for one, two in rows]
    document = json.loads(written(("a", "a"), rows, Format.JSON))
    assert (document["rows"], document["row_count"]) == (expected, len(rows))
    assert [json.loads(line) for line in written(("a", "a"), rows, Format.JSONL).split("\n")[:-1]] == expected


@given(st.lists(st.tuples(texts | st.none(), st.lists(texts, max_size=3)), max_size=5))
def test_csv_holds_every_text_and_array(rows: list[tuple[object, ...]]) -> None:
    header, *found = csv.reader(io.StringIO(written(("t", "a"), rows, Format.CSV), newline=""), strict=True)
    assert header == ["t", "a"]
    assert [(text, json.loads(array)) for text, array in found] == [(text or "", array) for text, array in rows]


def test_csv_tells_a_null_from_an_empty_text_and_ends_lines_as_the_rfc_says() -> None:
    rows: list[tuple[object, ...]] = [(None, ""), (1.5, True), ([1], "x,y")]
    assert written(("a", "b"), rows, Format.CSV) == 'a,b\r\n,""\r\n1.5,true\r\n[1],"x,y"\r\n'
    assert written(("a",), [(None,)], Format.CSV) == 'a\r\n""\r\n'


def named(value: object) -> object:
    """A value as JSON has it."""
    if isinstance(value, list):
        return [named(each) for each in value]
    return {float("inf"): "Infinity", float("-inf"): "-Infinity"}.get(value, value) if type(value) is float else value


@pytest.mark.parametrize(("form", "found"), [("jsonl", '{"x":"NaN","y":["Infinity","-Infinity"],"z":null}\n')])
def test_what_is_no_number_is_written_as_text_and_told(form: str, found: str, tables_dir: Path) -> None:
    statement = "SELECT 'nan'::DOUBLE AS x, ['inf'::DOUBLE, '-inf'::DOUBLE] AS y, NULL AS z"
    done = ask(tables_dir, "--format", form, sql=statement)
    assert done.stdout == found
    assert done.stderr == ("warning: 3 values are NaN or infinite: they are written as the texts NaN and Infinity\n")


@pytest.mark.parametrize("form", ["csv", "jsonl", "json"])
def test_rows_are_read_and_written_a_few_at_a_time(form: str) -> None:
    asked = iter(range(10**9))
    answer = QueryStream(("n",), ((number,) for number in asked), tuple)
    for _ in zip(range(5), chunks(answer, Format(form), Values()), strict=False):
        pass
    assert next(asked) < 10


@pytest.mark.parametrize("name", ["x.csv", "x.jsonl", "x.json", "x.txt"])
def test_a_file_holds_what_would_be_printed(name: str, tables_dir: Path, tmp_path: Path) -> None:
    out = tmp_path / name
    done = ask(tables_dir, "--out", out)
    assert (done.exit_code, done.stdout) == (0, "")
    form = {"csv": "csv", "jsonl": "jsonl", "json": "json"}.get(name[2:], "table")
    printed = ask(tables_dir, "--format", form).stdout
    assert _without_time(out.read_bytes().decode()) == _without_time(printed)
    assert [path.name for path in tmp_path.iterdir()] in (["tables", name], [name, "tables"])


def _without_time(text: str) -> list[str]:
    return [line.rstrip() for line in text.split("seconds")[0].split(" rows in ")[0].split("\n")]


def test_a_file_that_is_there_is_replaced_only_with_force(tables_dir: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.csv"
    out.write_text("mine")
    refused = ask(tables_dir, "--out", out)
    assert (refused.exit_code, "--force" in refused.stderr, out.read_text()) == (2, True, "mine")
    assert ask(tables_dir, "--out", out, "--force").exit_code == 0
    assert out.read_text().startswith("user_id,")


def test_a_file_that_came_while_the_query_ran_is_kept(tmp_path: Path) -> None:
    out = tmp_path / "x.csv"

    def content() -> Iterator[bytes]:
        out.write_text("another's")
        yield b"mine"

    with pytest.raises(ExportError, match="there already"):
        export(out, content(), force=False)
    assert (out.read_text(), [path.name for path in tmp_path.iterdir()]) == ("another's", ["x.csv"])


@pytest.mark.parametrize("statement", ["SELECT 1/0, error('halfway') FROM user_behavior", "SELECT nosuch"])
def test_a_query_that_fails_leaves_no_file(statement: str, tables_dir: Path, tmp_path: Path) -> None:
    done = ask(tables_dir, "--out", tmp_path / "x.csv", sql=statement)
    assert (done.exit_code, done.stderr.count("\n")) == (1, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["tables"]


@pytest.mark.parametrize("out", ["", "none/x.csv", "tables/user_behavior/x.csv", "/dev/null"])
@pytest.mark.parametrize("force", [(), ("--force",)])
def test_a_target_that_is_no_new_file_is_refused(out: str, force: tuple[str, ...], tables_dir: Path) -> None:
    done = ask(tables_dir, "--out", tables_dir.parent / out, *force)
    assert (done.exit_code, "--out" in done.stderr, done.stderr.count("\n")) == (2, True, 1)


@pytest.mark.parametrize("name", ["x", "x.xlsx", "x.csv.gz", "x.PARQUETS", ".csv"])
def test_an_ending_that_says_no_format_is_refused_with_those_that_do(name: str, tables_dir: Path) -> None:
    out = tables_dir.parent / name
    done = ask(tables_dir, "--out", out)
    assert (done.exit_code, done.stderr.count("\n"), out.exists()) == (2, 1, False)
    assert all(ending in done.stderr for ending in (".csv", ".json", ".jsonl", ".ndjson", ".parquet", ".txt"))
    assert ask(tables_dir, "--out", out, "--format", "csv").exit_code == 0


def test_parquet_holds_the_rows_with_their_types(tables_dir: Path, tmp_path: Path) -> None:
    statement = "SELECT items, scores, user_seq, event_time FROM recommendation_lists -- all"
    assert ask(tables_dir, "--out", tmp_path / "o'x.parquet", sql=statement).exit_code == 0
    with duckdb.connect() as connection:
        read = connection.execute("SELECT * FROM read_parquet(?)", [str(tmp_path / "o'x.parquet")])
        kinds = [str(column[1]) for column in read.description]
        assert read.fetchall() == duck.query(tables_dir, statement).rows
    assert kinds == ["VARCHAR[]", "DOUBLE[]", "BIGINT", "TIMESTAMP"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["o'x.parquet", "tables"]


@pytest.mark.parametrize(
    ("arguments", "statement", "code"),
    [
        (["--format", "parquet"], "SELECT 1", 2),
        (["--out", "x.csv", "--format", "parquet"], "SELECT 1", 2),
        (["--out", "x.parquet", "--json"], "SELECT 1", 2),
        (["--out", "x.parquet", "--engine", "flink"], "SELECT 1", 2),
        (["--out", "x.parquet"], "SELECT nosuch", 1),
        (["--out", "x.parquet"], "SELECT 1) TO 'y.parquet'; SELECT (2", 1),
        (["--out", "x.parquet"], "SELECT * FROM read_csv('x')", 1),
    ],
)
def test_parquet_that_cannot_be_written_leaves_no_file(
    arguments: list[str], statement: str, code: int, tables_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = ask(tables_dir, *arguments, sql=statement)
    assert (done.exit_code, done.stderr.count("\n"), [path.name for path in tmp_path.iterdir()]) == (
        code,
        1,
        ["tables"],
    )


TIMES = [
    ("TIMESTAMP 'infinity'", "infinity"),
    ("TIMESTAMP '-infinity'", "-infinity"),
    ("TIMESTAMPTZ 'infinity'", "infinity"),
    ("DATE 'infinity'", "infinity"),
    ("DATE '-infinity'", "-infinity"),
    ("DATE '20000-01-01'", "20000-01-01"),
    ("DATE '9999-12-31'", "9999-12-31"),
    ("TIMESTAMP '9999-12-31 23:59:59.999999'", "9999-12-31T23:59:59.999999"),
    ("TIMESTAMP '0001-01-01'", "0001-01-01T00:00:00"),
    ("INTERVAL 3000000 YEARS", "3000000 years"),
    ("INTERVAL '2000000000 days'", "2000000000 days"),
    ("INTERVAL '1 month 3 days'", "1 month 3 days"),
    ("INTERVAL '-14 months'", "-1 year -2 months"),
    ("TIMESTAMP_NS '2023-11-14 22:13:20.123456789'", "2023-11-14 22:13:20.123456789"),
    ("TIME_NS '22:13:20.123456789'", "22:13:20.123456789"),
    ("'infinity'", "infinity"),
]
BEYOND = 11


def test_times_that_python_has_no_value_for_are_given_as_they_are_and_told(tables_dir: Path) -> None:
    statement = f"SELECT {', '.join(f'{time} AS t' for time, _ in TIMES)} FROM user_behavior"
    for form in ("json", "jsonl", "csv"):
        done = ask(tables_dir, "--format", form, sql=statement)
        assert all(text in done.stdout for _, text in TIMES)
        assert done.stderr.startswith(f"warning: {2 * BEYOND} values are infinite times")
    rows = json.loads(ask(tables_dir, "--json", sql=statement).stdout)["rows"]
    assert [list(row.values()) for row in rows] == [[text for _, text in TIMES]] * 2
    assert ask(tables_dir, sql="SELECT event_time, DATE '9999-12-31' FROM user_behavior").stderr == ""


NESTED = [
    ("[DATE 'infinity', DATE '2026-01-01']", ["infinity", "2026-01-01"]),
    ("{'k': INTERVAL 3000000 YEARS}", {"k": "3000000 years"}),
    ("{'DATE': 1, 'a DATE, b': [INTERVAL 1 MONTH]}", {"DATE": 1, "a DATE, b": ["1 month"]}),
    ("MAP {DATE '2026-01-01': TIMESTAMPTZ 'infinity'}", {"2026-01-01": "infinity"}),
    ("[TIMESTAMP_NS '2026-01-01 00:00:00.123456789']", ["2026-01-01 00:00:00.123456789"]),
]


def test_times_inside_values_that_python_has_no_value_for_keep_their_place(tables_dir: Path) -> None:
    statement = f"SELECT {', '.join(f'{value} AS t' for value, _ in NESTED)}"
    done = ask(tables_dir, "--json", sql=statement)
    (row,) = json.loads(done.stdout)["rows"]
    assert list(row.values()) == [value for _, value in NESTED]
    assert done.stderr.startswith(f"warning: {len(NESTED)} values")


def test_times_that_python_has_a_value_for_are_given_as_they_are_written_elsewhere(tables_dir: Path) -> None:
    statement = "SELECT INTERVAL '3 days' i, TIMESTAMP_NS '2026-01-01 00:00:00.123456' n, [DATE '2026-01-01'] d"
    done = ask(tables_dir, "--json", sql=statement)
    (row,) = json.loads(done.stdout)["rows"]
    assert (row, done.stderr) == ({"i": "P3D", "n": "2026-01-01T00:00:00.123456", "d": ["2026-01-01"]}, "")


def test_advice_that_would_be_refused_is_not_given(tables_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: object) -> None:
        text = "Out of Memory Error: failed\n\nPossible solutions:\n* Reducing the number of threads (SET threads=X)"
        raise duckdb.OutOfMemoryException(text)

    monkeypatch.setattr(statements, "check_kind", full)
    done = ask(tables_dir)
    assert (done.exit_code, "SET" in done.stderr, "more memory" in done.stderr) == (1, False, True)


HARMFUL = "a\x1b[2Jb\x9b31m\x07\x7f\b\rc\0"


@given(st.text() | st.sampled_from([HARMFUL, "[red]\x1b"]))
def test_nothing_that_is_printed_is_obeyed_by_a_terminal(text: str) -> None:
    file = io.StringIO()
    out = Screen(file=file, width=500)
    grid = RichTable(escape(text), title=Text(text))
    grid.add_row(escape(text), Text(text))
    for each in (escape(text), Text(text), grid, Panel(Text(text))):
        out.print(each)
    with redirect_stdout(file), redirect_stderr(file):
        print_line(text)
        warn(text)
        print_json({"text": text})
    assert not CONTROLS & set(file.getvalue())


CONTROLS = {chr(code) for code in (*range(32), *range(0x7F, 0xA0), *range(0xD800, 0xE000))} - {"\t", "\n"}


@pytest.mark.parametrize("form", ["csv", "json", "jsonl"])
def test_only_a_terminal_gets_control_characters_spelled_out(form: str, tables_dir: Path) -> None:
    terminal, console = os.openpty()
    done = ask(tables_dir, "--format", form, sql="SELECT item_id FROM user_behavior ORDER BY log_offset LIMIT 1")
    assert ("\x1b" in done.stdout) == (form == "csv")
    program = [sys.executable, "-m", "job.cli", "sql", f"SELECT '{HARMFUL[:-1]}' AS x", "--format", form]
    subprocess.run([*program, "--tables-dir", tables_dir], stdout=console, check=True, timeout=300)
    os.close(console)
    shown = os.read(terminal, 9999).decode()
    os.close(terminal)
    assert not CONTROLS & set(re.sub(r"\r+\n", "\n", shown))  # a terminal's newline has its own \r
    assert "\\u001b[2Jb\\u009b31m" in shown


def test_two_formats_are_refused(tables_dir: Path) -> None:
    assert ask(tables_dir, "--json", "--format", "csv").exit_code == 2


@pytest.mark.parametrize("command", [("sql", "SELECT item_id FROM user_behavior"), ("lists", "u1")])
def test_text_of_users_is_shown_as_it_is_and_obeyed_by_nobody(command: tuple[str, str], tables_dir: Path) -> None:
    done = call(*command, "--tables-dir", tables_dir)
    assert done.exit_code == 0
    assert "[bold]text[/bold] \\u001b[31m" in done.output
    assert not {"\x1b", "\0"} & set(done.output)


def test_an_error_that_quotes_the_statement_is_one_line_without_controls(tables_dir: Path) -> None:
    done = ask(tables_dir, sql='SELECT "[/red]\x1b[31m\n"')
    assert (done.exit_code, done.stderr.count("\n"), "\x1b" in done.stderr) == (1, 1, False)


@pytest.mark.parametrize("command", [("sql", "SELECT '\udcff'"), ("lists", "\udcff")])
def test_an_argument_that_is_no_utf_8_is_one_line(command: tuple[str, str], tables_dir: Path) -> None:
    done = call(*command, "--tables-dir", tables_dir)
    assert (done.exit_code, done.stderr.count("\n"), done.stdout) == (1, 1, "")


@pytest.mark.parametrize("command", [("sql", "SELECT 1"), ("lists", "u1")])
def test_a_folder_whose_name_is_no_utf_8_is_one_line(command: tuple[str, str], tables_dir: Path) -> None:
    odd = tables_dir.rename(tables_dir.with_name("\udcff"))
    done = call(*command, "--tables-dir", odd)
    assert (done.exit_code, "rename" in done.stderr, done.stderr.count("\n")) == (2, True, 1)


def test_every_type_of_the_engine_is_json(tables_dir: Path) -> None:
    statement = (
        "SELECT 1.5::DECIMAL(9,2) d, DATE '2026-01-01' t, INTERVAL 1 DAY i, 'x'::BLOB b, MAP {1: 'one'} m, "
        "{'k': 'nan'::DOUBLE} s, 2::HUGEINT ** 100 h, uuid() u, 170141183460469231731687303715884105727 n"
    )
    for form in ("json", "jsonl", "csv", "table"):
        assert ask(tables_dir, "--format", form, sql=statement).exit_code == 0
    (row,) = msgspec.json.decode(ask(tables_dir, "--json", sql=statement).stdout)["rows"]
    assert (row["d"], row["t"], row["m"], row["s"]) == ("1.50", "2026-01-01", {"1": "one"}, {"k": "NaN"})
    assert json.loads(ask(tables_dir, "--format", "jsonl", sql=statement).stdout)["n"] == 2**127 - 1
