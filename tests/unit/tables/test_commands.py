"""`recloop sql`, `lists` and `compact` as a person calls them."""

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner, Result

from job.commands import compact, lists, sql
from job.tables.compaction import Compactor, Report
from model.bundles.bundle import Contents, Manifest, Training, write_bundle
from tests.unit.tables.rows import HOUR, behavior, commit, made_list

app = typer.Typer()
app.command()(sql.sql)
app.command()(lists.lists)
app.command()(compact.compact)


@pytest.fixture
def tables_dir(tmp_path: Path) -> Path:
    commit(tmp_path / "user_behavior" / HOUR, "part-a-0", [behavior(0, item="a"), behavior(1, item="b")])
    rows = [made_list(1, ["a", "b", "c"]), made_list(2, ["b", "a", "d"])]
    commit(tmp_path / "recommendation_lists" / HOUR, "part-a-0", rows)
    return tmp_path


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_sql_prints_rows_count_and_time(tables_dir: Path) -> None:
    done = call("sql", "SELECT item_id, user_seq FROM user_behavior", "--tables-dir", tables_dir)
    assert done.exit_code == 0
    assert "item_id" in done.output
    assert "2 rows in" in done.output


def test_sql_prints_json(tables_dir: Path) -> None:
    statement = "SELECT items, event_time, NULL AS none FROM latest_recommendation_lists"
    answer = json.loads(call("sql", statement, "--json", "--tables-dir", tables_dir).output)
    assert answer["rows"] == [{"items": ["b", "a", "d"], "event_time": "2023-11-14T22:13:20.123000", "none": None}]
    assert answer["row_count"] == 1


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("DROP TABLE t", "only queries"),
        ("SELECT nosuch FROM user_behavior", "recloop sql --tables"),
        ("SELECT 1 FROM [bold]", "error: "),
    ],
)
def test_a_refused_statement_is_one_line_and_exit_1(statement: str, said: str, tables_dir: Path) -> None:
    done = call("sql", statement, "--tables-dir", tables_dir)
    assert done.exit_code == 1
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_missing_folder_says_what_to_give(tmp_path: Path) -> None:
    for command in (("sql", "SELECT 1"), ("lists", "u1")):
        done = call(*command, "--tables-dir", tmp_path / "none")
        assert (done.exit_code, "--tables-dir" in done.stderr) == (2, True)


def test_tables_are_listed_with_their_columns() -> None:
    assert "rises by one per list, per user" in call("sql", "--tables").output
    listed = json.loads(call("sql", "--tables", "--json").output)
    assert {"user_behavior", "user_behavior_all", "latest_recommendation_lists"} <= {view["name"] for view in listed}


def test_lists_says_what_changed(tables_dir: Path) -> None:
    found = json.loads(call("lists", "u1", "--json", "--tables-dir", tables_dir).output)
    assert [each["item_id"] for each in found["behaviors"]] == ["b", "a"]
    assert [(each["item_id"], each["moved"]) for each in found["entries"]] == [
        ("b", 1),
        ("a", -1),
        ("d", None),
    ]
    assert (found["previous_version"], found["gone"]) == (1, ["c"])


def test_lists_for_people_has_titles_of_a_bundle(tables_dir: Path) -> None:
    training = Training(dataset="d", fingerprint="f", cut_off=0, behaviors=1)
    manifest = Manifest(
        name="m", version="1", created_at="2026-03-01T00:00:00Z", history_length=5, k=3, training=training
    )
    contents = Contents(
        model=b"",
        vocabulary=("a", "b", "c", "d"),
        titles=("Alpha", "Beta", "Gamma [1]", ""),
        groups=("g",) * 4,
        neighbors=np.zeros((5, 1), dtype=np.int32),
        popularity=(("a", 1),),
    )
    write_bundle(tables_dir / "bundle", contents, manifest)
    output = call("lists", "u1", "--bundle", tables_dir / "bundle", "--tables-dir", tables_dir).output
    for part in ("Alpha", "Beta", "up 1", "down 1", "new", "gone: c Gamma [1]"):
        assert part in output


def test_lists_has_titles_of_a_prepared_data_set(tables_dir: Path) -> None:
    (tables_dir / "items.jsonl").write_text('{"item_id": "b", "title": "Beta", "group": "g"}\n')
    assert "Beta" in call("lists", "u1", "--bundle", tables_dir, "--tables-dir", tables_dir).output


def test_lists_of_an_unknown_user_exits_with_1(tables_dir: Path) -> None:
    done = call("lists", "nobody", "--tables-dir", tables_dir)
    assert (done.exit_code, "nobody" in done.stderr) == (1, True)


def test_a_folder_without_titles_is_refused(tables_dir: Path) -> None:
    done = call("lists", "u1", "--bundle", tables_dir, "--tables-dir", tables_dir)
    assert (done.exit_code, "no titles" in done.stderr) == (1, True)


def test_compact_reports_a_pass(tables_dir: Path) -> None:
    commit(tables_dir / "user_behavior" / HOUR, "part-a-1", [behavior(2)])
    report = json.loads(call("compact", tables_dir, "--json").output)
    assert (report["files_before"], report["files_after"], report["merges"]) == (3, 2, 1)


def test_a_watching_compactor_ends_cleanly_on_ctrl_c(tables_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_arguments: object) -> Report:
        os.kill(os.getpid(), signal.SIGINT)
        return Report(merges=1)

    monkeypatch.setattr(Compactor, "run_once", interrupted)
    done = call("compact", tables_dir, "--watch", "--every", "1h")
    assert done.exit_code == 0
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize(("text", "expected"), [("30s", 30.0), ("5m", 300.0), ("250ms", 0.25), ("2", 2.0)])
def test_durations(text: str, expected: float) -> None:
    assert compact.seconds(text) == expected


@pytest.mark.parametrize("text", ["soon", "0s", "-1s"])
def test_a_wrong_duration_is_refused(text: str, tables_dir: Path) -> None:
    assert call("compact", tables_dir, "--every", text).exit_code == 2


def test_a_folder_without_tables_is_told(tables_dir: Path) -> None:
    inside = tables_dir / "user_behavior"
    done = call("sql", "SELECT 1", "--json", "--tables-dir", inside)
    assert (done.exit_code, f"warning: {inside} has no tables" in done.stderr) == (0, True)
    done = call("compact", inside)
    assert (done.exit_code, f"{inside} has no tables" in done.stderr) == (2, True)
    assert {path.name for path in inside.iterdir() if path.is_file()} <= {".gate", ".lock"}  # of both commands


def test_a_compactor_may_begin_before_the_job_has_written(tmp_path: Path) -> None:
    for _ in range(2):  # the first makes hidden files for its locks
        done = call("compact", tmp_path)
        assert (done.exit_code, f"warning: {tmp_path} is empty" in done.stderr) == (0, True)


def test_a_file_in_an_hours_place_is_named_by_every_command(tables_dir: Path) -> None:
    file = tables_dir / "user_behavior" / "dt=2026-03-01" / "hour=10"
    file.touch()
    for command in (("compact", tables_dir), ("sql", "SELECT 1", "--tables-dir", tables_dir)):
        done = call(*command)
        assert (done.exit_code, done.stderr) == (2, f"error: {file} cannot be read: Not a directory\n")
