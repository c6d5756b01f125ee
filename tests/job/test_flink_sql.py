"""The same queries through DuckDB and through Flink, over the same files."""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from job.tables import duck, flink, journal
from job.tables.compaction import Compactor
from job.tables.errors import QueryFailedError
from job.tables.journal import Step
from job.tables.query import Rows
from job.tables.schema import PARTITIONS, TABLES
from job.tables.withdrawn import write_withdrawn
from tests.unit.tables.drawn_rows import ROW_TABLES, all_rows, write
from tests.unit.tables.rows import CLOSED_MS, HOUR, behavior, commit, letter, made_list, minute, prediction
from tests.unit.udfs.drawn import many

if TYPE_CHECKING:
    from pyflink.table import TableEnvironment

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

QUERIES = [
    'SELECT count(*), min(dt), max("hour") FROM user_behavior_all WHERE item_id <> \'a "quoted" text\'',
    'SELECT log_offset, item_id, "position", "timestamp", event_time FROM user_behavior',
    "SELECT user_id, items, scores, list_version, epoch FROM latest_recommendation_lists",
    "SELECT list_version, items FROM recommendation_lists",
    'SELECT "minute", revision, events, freshness_p50_ms, minute_time FROM feedback_metrics',
    "SELECT user_seq, model_hash, epoch FROM prediction_results",
    "SELECT log_offset, reason, epoch FROM dead_letters",
    "SELECT first_offset, parent_epoch, generation, epoch FROM attempts",
    "WITH b AS (SELECT user_id, count(*) AS n FROM user_behavior GROUP BY user_id) SELECT n FROM b",
]


class Killed(BaseException):
    """Ends a compactor in the middle of a swap."""


@pytest.fixture(scope="module")
def tables_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tables") / "env=test"
    behaviors = folder / "user_behavior" / HOUR
    commit(behaviors, "part-a-0", [behavior(0, item="old"), behavior(1)])
    commit(behaviors, "part-b-0", [behavior(0, epoch=2, item="new"), behavior(2, user="u2")])
    (behaviors / ".part-c-0.inprogress").write_text('{"user_id": "half')
    began = {"log_partition": 0, "parent_epoch": 2, "generation": 0, "written_at": 1}
    begun = [began | {"first_offset": 8, "epoch": 10}, began | {"first_offset": 1, "epoch": 9}]
    commit(folder / "attempts" / HOUR, "part-a-0", begun)
    commit(folder / "dead_letters" / HOUR, "part-a-0", [letter(1), letter(8, epoch=10), letter(8, epoch=9)])
    answers = [*(prediction(8, rank, "old", epoch=9) for rank in range(3)), prediction(8, 0, "new", epoch=10)]
    commit(folder / "prediction_results" / HOUR, "part-a-0", answers)
    lists = [made_list(9, ["stale"]), made_list(7, ["x", "y"], epoch=2), made_list(1, [], user="u2")]
    commit(folder / "recommendation_lists" / HOUR, "part-a-0", lists)
    commit(folder / "feedback_metrics" / HOUR, "part-a-0", [minute(1, 9, 5), minute(2, 1, 7), minute(2, 0, 6)])
    return folder


@pytest.fixture(scope="module")
def environment(tables_dir: Path) -> Iterator["TableEnvironment"]:
    _kill_a_compactor_in_its_swap(tables_dir)
    with flink.connect(tables_dir) as connected:
        yield connected


def _kill_a_compactor_in_its_swap(tables_dir: Path) -> None:
    def die(step: Step) -> None:
        if step is Step.ONE_GONE:
            raise Killed

    with pytest.raises(Killed):
        Compactor(tables_dir, on_step=die).run_once(CLOSED_MS)


def test_the_folder_is_settled_before_flink_reads_it(environment: "TableEnvironment", tables_dir: Path) -> None:
    assert journal.pending(tables_dir) is None


@pytest.mark.parametrize("sql", QUERIES)
def test_both_engines_give_the_same_rows(sql: str, environment: "TableEnvironment", tables_dir: Path) -> None:
    assert _ordered(flink.run(environment, sql).rows) == _ordered(duck.query(tables_dir, sql).rows)


def test_flinks_views_have_the_same_columns(environment: "TableEnvironment", tables_dir: Path) -> None:
    sql = "SELECT * FROM dead_letters"
    assert flink.run(environment, sql).columns == duck.query(tables_dir, sql).columns


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELECT nosuch FROM user_behavior", "nosuch"),
        ("SELECT timestamp FROM user_behavior", "timestamp"),
        ("SELECT CAST('x' AS INT)", "Invalid"),
    ],
)
def test_flinks_errors_are_one_line(sql: str, said: str, environment: "TableEnvironment") -> None:
    with pytest.raises(QueryFailedError, match=said) as caught:
        flink.run(environment, sql)
    assert "\n" not in str(caught.value)


def test_flink_reads_whatever_parsing_lets_through_and_passes_over_what_is_no_row(tmp_path: Path) -> None:
    tables_dir = tmp_path / "dt=2020-01-01"
    write(tables_dir, all_rows(many(300)))
    damaged = tables_dir / "user_behavior" / HOUR / "part-c-0"
    old = {**behavior(7), "position": 2**31, "timestamp": 2**62}
    damaged.write_bytes(
        b"\n".join((b"garbage", json.dumps(old).encode(), b"{}", b"[1]", b"\0\0", b'{"user_id": "torn'))
    )
    with flink.connect(tables_dir) as connected:
        for table in ROW_TABLES:
            columns = ", ".join(f'"{each.name}"' for each in (*TABLES[table].columns, *PARTITIONS))
            sql = f"SELECT {columns}, event_time IS NULL FROM {table}_all"
            found = _ordered(flink.run(connected, sql).rows)
            assert found == _ordered(duck.query(tables_dir, sql).rows)
            assert len(found) > 50
    with flink.stream(tables_dir, 'SELECT "position" FROM user_behavior WHERE user_seq = 8') as answer:
        assert list(answer.rows) == [(None,)]
        told = answer.warnings()
    assert told[0].startswith("5 lines of user_behavior are no row")
    assert "position" in told[1]


def test_both_engines_leave_out_of_the_latest_lists_what_is_withdrawn(tmp_path: Path) -> None:
    draw = random.Random(11)
    items = ["a", "b", "o'hara", "ä", 'a "b"', "c\\d", "--e", "f\n"]
    hidden = draw.sample(items, 4)
    lists = [(f"u{number}", 1, draw.sample(items, draw.randint(0, 8))) for number in range(60)]
    lists += [("all", 1, hidden), ("none", 1, []), ("u1", 2, items)]
    made = [made_list(version, shown, user=user) for user, version, shown in lists]
    for row in made[::2]:  # the others explore nothing
        row["propensities"] = list(row["scores"])  # type: ignore[call-overload]
    commit(tmp_path / "recommendation_lists" / HOUR, "part-a-0", made)
    columns = "user_id, list_version, items, scores, reasons, propensities, event_time"
    latest = f"SELECT {columns} FROM latest_recommendation_lists"
    recorded = "SELECT user_id, list_version, items FROM recommendation_lists"
    write_withdrawn(tmp_path, hidden)
    found = flink.query(tmp_path, latest).rows
    newest = {user: [item for item in shown if item not in hidden] for user, _, shown in lists}
    assert {row[0]: row[2] for row in found} == newest
    assert _ordered(found) == _ordered(duck.query(tmp_path, latest).rows)
    assert _ordered(flink.query(tmp_path, recorded).rows) == _ordered(duck.query(tmp_path, recorded).rows)


def _ordered(rows: Rows) -> list[str]:
    return sorted(map(repr, rows))
