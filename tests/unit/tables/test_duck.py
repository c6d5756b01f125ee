"""The views by DuckDB, and what a query may not do."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import duckdb
import pytest

from job.tables import duck
from job.tables.errors import NotAQueryError, QueryFailedError
from job.tables.withdrawn import write_withdrawn
from tests.unit.tables.rows import HOUR, behavior, commit, made_list, minute

pytestmark = pytest.mark.heavy


def test_of_equal_rows_the_highest_epoch_counts(tmp_path: Path) -> None:
    folder = tmp_path / "user_behavior" / HOUR
    commit(folder, "part-a-0", [behavior(1, epoch=2, item="new"), behavior(0, epoch=1, item="kept")])
    commit(folder, "part-b-0", [behavior(1, epoch=1, item="old")])
    rows = duck.query(tmp_path, "SELECT log_offset, item_id FROM user_behavior ORDER BY 1").rows
    assert rows == [(0, "kept"), (1, "new")]
    assert duck.query(tmp_path, "SELECT count(*) FROM user_behavior_all").rows == [(3,)]


def test_a_row_that_is_there_twice_is_shown_once(tmp_path: Path) -> None:
    for name in ("part-a-0", "compact-1-aa"):
        commit(tmp_path / "user_behavior" / HOUR, name, [behavior(0)])
    assert duck.query(tmp_path, "SELECT count(*) FROM user_behavior").rows == [(1,)]


def test_after_a_fall_back_the_latest_list_is_the_new_epochs(tmp_path: Path) -> None:
    rows = [made_list(9, ["stale"]), made_list(7, ["new"], epoch=2), made_list(3, ["x"], user="u2")]
    commit(tmp_path / "recommendation_lists" / HOUR, "part-a-0", rows)
    found = duck.query(tmp_path, "SELECT user_id, items FROM latest_recommendation_lists ORDER BY 1").rows
    assert found == [("u1", ["new"]), ("u2", ["x"])]


def test_the_last_revision_of_a_minute_counts_within_the_highest_epoch(tmp_path: Path) -> None:
    rows = [minute(1, 9, 5), minute(2, 0, 6), minute(2, 1, 7)]
    commit(tmp_path / "feedback_metrics" / HOUR, "part-a-0", rows)
    found = duck.query(tmp_path, "SELECT events, minute_time FROM feedback_metrics").rows
    assert found == [(7, datetime(2023, 11, 14, 22, 14))]


def test_event_time_is_utc_and_folders_are_columns(tmp_path: Path) -> None:
    commit(tmp_path / "user_behavior" / HOUR, "part-a-0", [behavior(0)])
    (row,) = duck.query(tmp_path, 'SELECT event_time, "timestamp", dt, hour FROM user_behavior').rows
    assert row == (datetime(2023, 11, 14, 22, 13, 20, 123000), 1_700_000_000_123, "2026-03-01", "09")


def test_hidden_files_are_not_read(tmp_path: Path) -> None:
    folder = tmp_path / "user_behavior" / HOUR
    commit(folder, "part-a-0", [behavior(0)])
    (folder / ".part-b-0.inprogress.x").write_text('{"user_id": "half')
    assert duck.query(tmp_path, "SELECT count(*) FROM user_behavior").rows == [(1,)]


def test_a_folder_with_signs_in_its_name_is_read(tmp_path: Path) -> None:
    tables_dir = tmp_path / "env=prod" / "o'hara" / "tables"
    commit(tables_dir / "user_behavior" / HOUR, "part-a-0", [behavior(0)])
    assert duck.query(tables_dir, "SELECT count(dt) FROM user_behavior").rows == [(1,)]


def test_a_missing_folder_gives_empty_tables_and_is_not_made(tmp_path: Path) -> None:
    assert duck.query(tmp_path / "none", "SELECT count(*) FROM user_behavior").rows == [(0,)]
    assert not (tmp_path / "none").exists()


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    with duck.connect(tmp_path_factory.mktemp("tables")) as connection:
        yield connection


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1;",
        "-- a remark\n(SELECT 1)",
        "WITH a AS (SELECT 1) SELECT * FROM a",
        "VALUES (1)",
        "SHOW TABLES",
        "DESCRIBE user_behavior",
        "EXPLAIN ANALYZE SELECT 1",
        "FROM user_behavior",
    ],
)
def test_reading_statements_run(sql: str, empty: duckdb.DuckDBPyConnection) -> None:
    assert duck.run(empty, sql).columns


@pytest.mark.parametrize(
    "sql",
    [
        "",
        "DROP VIEW user_behavior",
        "COPY (SELECT 1) TO 'out'",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO 'out'",
        "/* x */ EXPLAIN ANALYZE COPY (SELECT 1) TO 'out'",
        "WITH a AS (SELECT 1) INSERT INTO t SELECT * FROM a",
        "SELECT 1; DROP VIEW user_behavior",
        "SET lock_configuration = false",
        "PRAGMA database_list",
        "CALL pragma_version()",
        "ATTACH 'other.db'",
    ],
)
def test_other_statements_are_refused(sql: str, empty: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(NotAQueryError, match="SELECT"):
        duck.run(empty, sql)


@pytest.mark.parametrize(
    "source", ["read_text('{secret}')", "'{secret}'", "read_text('{tables}/../secret.csv')", "glob('/*')"]
)
def test_a_query_reads_nothing_but_the_tables(source: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("a,b\n1,2\n")
    tables = tmp_path / "tables"
    commit(tables / "user_behavior" / HOUR, "part-a-0", [behavior(0)])
    with pytest.raises(QueryFailedError, match="Permission"):
        duck.query(tables, f"SELECT * FROM {source.format(secret=secret, tables=tables)}")


def test_an_engines_error_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(QueryFailedError) as caught:
        duck.query(tmp_path, "SELECT nosuch FROM user_behavior")
    assert "nosuch" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_name_that_comes_twice_keeps_both_values(tmp_path: Path) -> None:
    assert duck.query(tmp_path, "SELECT 1 AS n, 2 AS n").records() == [{"n": 1, "n_2": 2}]


def test_the_latest_lists_leave_out_what_is_withdrawn_and_the_record_does_not(tmp_path: Path) -> None:
    explored = made_list(1, ["a", "o'hara", "b"]) | {"propensities": [0.5, 0.25, 0.125]}
    rows = [explored, made_list(1, ["b"], user="u2"), made_list(1, [], user="u3")]
    commit(tmp_path / "recommendation_lists" / HOUR, "part-a-0", rows)
    latest = "SELECT user_id, items, scores, reasons, propensities FROM latest_recommendation_lists ORDER BY 1"
    write_withdrawn(tmp_path, ["o'hara", "b"])
    assert duck.query(tmp_path, latest).rows == [
        ("u1", ["a"], [1.0], ["model"], [0.5]),
        ("u2", [], [], [], None),
        ("u3", [], [], [], None),
    ]
    assert duck.query(tmp_path, "SELECT max(len(items)) FROM recommendation_lists").rows == [(3,)]
    write_withdrawn(tmp_path, [])
    assert duck.query(tmp_path, latest).rows[0][1] == ["a", "o'hara", "b"]
