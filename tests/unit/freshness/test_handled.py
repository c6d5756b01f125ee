"""What the job is done with is counted from its sinks' files: hidden and named ones, as they grow, each row once."""

from pathlib import Path

import pytest

from job.freshness.errors import LiveError
from job.freshness.feed import Feed
from job.freshness.handled import Handled
from job.replay.log_writer import LogWriter, count_lines
from model.records import UserBehavior
from tests.unit.tables.rows import HOUR
from udfs.log.file_log import partition_file

APPLIED = b'{"item_id":"\\"outcome\\":\\"duplicate\\"","outcome":"applied"}\n'
DUPLICATE = b'{"item_id":"i","outcome":"duplicate"}\n'


def hidden(tables: Path, table: str) -> Path:
    folder = tables / table / HOUR
    folder.mkdir(parents=True, exist_ok=True)
    return folder / ".part-0.inprogress.1"


def test_rows_of_lists_duplicates_and_dead_letters_count(tmp_path: Path) -> None:
    handled = Handled(tmp_path)
    assert handled.count() == 0
    hidden(tmp_path, "recommendation_lists").write_bytes(b"{}\n{}\n")
    hidden(tmp_path, "dead_letters").write_bytes(b"{}\n")
    hidden(tmp_path, "user_behavior").write_bytes(APPLIED + DUPLICATE + APPLIED)
    assert handled.count() == 4


def test_a_file_that_grows_and_gets_its_name_counts_once(tmp_path: Path) -> None:
    handled, file = Handled(tmp_path), hidden(tmp_path, "recommendation_lists")
    file.write_bytes(b"{}\n{")
    assert handled.count() == 1
    with file.open("ab") as more:
        more.write(b"}\n{}\n")
    file.rename(file.with_name("part-0"))
    assert handled.count() == 3
    hidden(tmp_path, "recommendation_lists").write_bytes(b"{}\n")
    assert handled.count() == 4
    assert handled.count() == 4


@pytest.mark.parametrize("at", range(len(DUPLICATE)))
def test_a_row_that_is_written_in_two_parts_counts_once(at: int, tmp_path: Path) -> None:
    handled, file = Handled(tmp_path), hidden(tmp_path, "user_behavior")
    file.write_bytes(DUPLICATE[:at])
    handled.count()
    with file.open("ab") as more:
        more.write(DUPLICATE[at:])
    assert handled.count() == 1


def test_a_step_waits_for_the_lists_of_the_one_before(tmp_path: Path) -> None:
    log = [UserBehavior(user, "click", "i", at) for user, at in (("u", 1), ("v", 1), ("u", 2), ("u", 3))]
    tables, seen = tmp_path / "tables", []

    class Answered(Handled):
        def count(self) -> int:
            """Counts the log's records first, and has a list made of each only at the second call."""
            there = count_lines(partition_file(tmp_path / "log", 0))
            done = super().count()
            if done < there:
                seen.append((done, there))
                with hidden(tables, "recommendation_lists").open("ab") as rows:
                    rows.write(b"{}\n")
            return done

    with LogWriter(tmp_path / "log", 1) as writer:
        Feed(writer, Answered(tables), lambda _: None).append_in_steps(log)
    assert seen == [(0, 2), (1, 2), (2, 3), (3, 4)]


def test_a_job_that_halts_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("job.freshness.feed._STALLED_S", 0.0)
    with LogWriter(tmp_path / "log", 1) as writer:
        feed = Feed(writer, Handled(tmp_path / "tables"), lambda _: None)
        with pytest.raises(LiveError, match="done with 0 of 1 behaviours, and came to a halt"):
            feed.append_in_steps([UserBehavior("u", "click", "i", 1)])
