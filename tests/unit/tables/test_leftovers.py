"""Hidden files of killed attempts: removed only when every row of theirs was written again and shown."""

import os
from pathlib import Path

import pytest

from job.tables import duck
from job.tables.compaction import Compactor
from tests.unit.tables.rows import CLOSED_MS, HOUR, behavior, commit, made_list, minute

pytestmark = pytest.mark.heavy

DAY_MS = 86_400_000
LATER_MS = CLOSED_MS + 2 * DAY_MS
LATER_HOUR = "dt=2026-03-01/hour=10"


def hidden(folder: Path, rows: list[dict[str, object]], *, torn: str = "", age_ms: int = 2 * DAY_MS) -> Path:
    """What a killed attempt left, last written so long before `LATER_MS`."""
    path = commit(folder, "rows", rows)
    path = path.rename(folder / ".part-x-0.inprogress.5d0b1c")
    with path.open("a") as file:
        file.write(torn)
    os.utime(path, ((LATER_MS - age_ms) / 1000,) * 2)
    return path


def removed(tables_dir: Path) -> int:
    return Compactor(tables_dir).run_once(LATER_MS).leftovers


def table(tables_dir: Path, hour: str = HOUR, name: str = "user_behavior") -> Path:
    return tables_dir / name / hour


@pytest.mark.parametrize("torn", ["", '{"user_id": "half'])
@pytest.mark.parametrize("hour", [HOUR, LATER_HOUR])
def test_one_whose_rows_a_later_attempt_wrote_again_goes(hour: str, torn: str, tmp_path: Path) -> None:
    left = hidden(table(tmp_path), [behavior(1), behavior(2)], torn=torn)
    commit(table(tmp_path, hour), "part-a-0", [behavior(offset, epoch=2) for offset in (1, 2, 3)])
    assert (removed(tmp_path), left.exists()) == (1, False)
    assert duck.query(tmp_path, "SELECT count(*) FROM user_behavior").rows == [(3,)]


@pytest.mark.parametrize(
    "shown",
    [[], [behavior(1, epoch=2)], [behavior(1, epoch=2), behavior(2, epoch=1)], [behavior(1), behavior(2)]],
    ids=["nothing shown", "one of two", "one by the same attempt", "both by the same attempt"],
)
def test_one_with_a_row_that_no_later_attempt_wrote_stays(shown: list[dict[str, object]], tmp_path: Path) -> None:
    left = hidden(table(tmp_path), [behavior(1), behavior(2)])
    commit(table(tmp_path, LATER_HOUR), "part-a-0", shown)
    assert (removed(tmp_path), left.exists()) == (0, True)


def test_one_that_was_written_lately_stays(tmp_path: Path) -> None:
    left = hidden(table(tmp_path), [behavior(1)], age_ms=DAY_MS - 1)
    commit(table(tmp_path), "part-a-0", [behavior(1, epoch=2)])
    assert (removed(tmp_path), left.exists()) == (0, True)


def test_one_without_a_whole_row_goes(tmp_path: Path) -> None:
    left = hidden(table(tmp_path), [], torn="half a li")
    assert (removed(tmp_path), left.exists()) == (1, False)


def test_every_table_is_looked_at_by_its_own_key(tmp_path: Path) -> None:
    lists, minutes = table(tmp_path, name="recommendation_lists"), table(tmp_path, name="feedback_metrics")
    gone = [hidden(lists, [made_list(7, ["a"])]), hidden(minutes, [minute(1, 4, 5)])]
    commit(lists, "part-a-0", [made_list(7, ["b"], epoch=2)])
    commit(minutes, "part-a-0", [minute(2, 0, 5)])
    kept = hidden(table(tmp_path), [behavior(1)])
    assert (removed(tmp_path), [path.exists() for path in (*gone, kept)]) == (2, [False, False, True])


def test_it_is_looked_for_at_most_once_an_hour(tmp_path: Path) -> None:
    commit(table(tmp_path), "part-a-0", [behavior(1, epoch=2)])
    assert removed(tmp_path) == 0
    os.utime(tmp_path / ".leftovers-checked", (LATER_MS / 1000,) * 2)
    hidden(table(tmp_path), [behavior(1)])
    assert Compactor(tmp_path).run_once(LATER_MS + 3_599_000).leftovers == 0
    assert Compactor(tmp_path).run_once(LATER_MS + 3_600_000).leftovers == 1
