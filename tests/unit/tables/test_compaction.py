"""Compaction: what is merged and when, whole under every crash, and never seen by a reader."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from job.tables import duck, journal, locks
from job.tables.compaction import Compactor, Policy, Report
from job.tables.errors import TablesBusyError, TablesError
from job.tables.files import committed, reading, settled
from job.tables.journal import Step
from tests.unit.tables.rows import CLOSED_MS, HOUR, OPEN_MS, behavior, commit

PATIENT = Policy(max_small_files=3, patience_s=0.02)


class Killed(BaseException):
    """What a test raises where a kill -9 would end the compactor."""


def killer(step: Step, passings: int = 1) -> Callable[[Step], None]:
    seen = Counter[Step]()

    def on_step(done: Step) -> None:
        seen[done] += 1
        if done is step and seen[done] == passings:
            raise Killed

    return on_step


def hour(tables_dir: Path) -> Path:
    folder = tables_dir / "user_behavior" / HOUR
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def fill(tables_dir: Path, files: int, first: int = 0) -> None:
    for number in range(first, first + files):
        commit(hour(tables_dir), f"part-a-{number}", [behavior(2 * number), behavior(2 * number + 1)])


def offsets(tables_dir: Path) -> list[int]:
    """The offsets a reader sees, read line by line: DuckDB takes the same list of files."""
    with reading(tables_dir) as files:
        lines = [line for path in files["user_behavior"] for line in path.read_text().splitlines()]
    return sorted(json.loads(line)["log_offset"] for line in lines)


def names(tables_dir: Path) -> list[str]:
    return [path.name for path in committed(hour(tables_dir))]


def test_a_closed_hour_becomes_one_file_with_every_row(tmp_path: Path) -> None:
    fill(tmp_path, 2)
    report = Compactor(tmp_path, PATIENT).run_once(CLOSED_MS)
    (name,) = names(tmp_path)
    assert name.startswith("compact-1-")
    assert offsets(tmp_path) == list(range(4))
    assert (report.files_before, report.files_after, report.merges) == (2, 1, 1)
    assert report.bytes_merged == (hour(tmp_path) / name).stat().st_size


def test_an_open_hour_is_merged_above_its_number_of_small_files(tmp_path: Path) -> None:
    fill(tmp_path, 3)
    assert Compactor(tmp_path, PATIENT).run_once(OPEN_MS) == Report(files_before=3, files_after=3)
    fill(tmp_path, 1, first=3)
    assert Compactor(tmp_path, PATIENT).run_once(OPEN_MS).files_after == 1
    assert offsets(tmp_path) == list(range(8))


def test_large_files_of_an_open_hour_wait_until_it_closes(tmp_path: Path) -> None:
    fill(tmp_path, 4)
    (hour(tmp_path) / "part-large-0").write_text((json.dumps(behavior(8)) + "\n") * 20)
    policy = Policy(max_small_files=3, small_bytes=1000)
    assert Compactor(tmp_path, policy).run_once(OPEN_MS).files_after == 2
    assert Compactor(tmp_path, policy).run_once(CLOSED_MS).files_after == 1


def test_an_hour_closes_only_after_the_last_checkpoint_may_have_committed(tmp_path: Path) -> None:
    fill(tmp_path, 2)
    end_ms = CLOSED_MS - 3_600_000
    assert Compactor(tmp_path).run_once(end_ms + 119_000).merges == 0
    assert Compactor(tmp_path).run_once(end_ms + 120_000).merges == 1


def test_a_merged_hour_is_left_alone_until_another_file_comes(tmp_path: Path) -> None:
    fill(tmp_path, 2)
    Compactor(tmp_path).run_once(CLOSED_MS)
    assert Compactor(tmp_path).run_once(CLOSED_MS).merges == 0
    fill(tmp_path, 1, first=2)
    assert Compactor(tmp_path).run_once(CLOSED_MS).merges == 1
    assert names(tmp_path)[0].startswith("compact-2-")


def test_files_in_progress_are_not_touched(tmp_path: Path) -> None:
    fill(tmp_path, 2)
    hidden = hour(tmp_path) / ".part-a-9.inprogress.1"
    hidden.write_text("half a li")
    Compactor(tmp_path).run_once(CLOSED_MS)
    assert hidden.read_text() == "half a li"


def test_a_file_without_a_last_newline_does_not_run_into_the_next(tmp_path: Path) -> None:
    fill(tmp_path, 1)
    (hour(tmp_path) / "part-0").write_text(json.dumps(behavior(7)))
    Compactor(tmp_path).run_once(CLOSED_MS)
    assert offsets(tmp_path) == [0, 1, 7]


def test_a_query_puts_a_merge_off_and_nothing_is_left_of_it(tmp_path: Path) -> None:
    fill(tmp_path, 2)
    with duck.connect(tmp_path):
        report = Compactor(tmp_path, PATIENT).run_once(CLOSED_MS)
    assert (report.postponed, report.files_after) == (1, 2)
    assert sorted(path.name for path in hour(tmp_path).iterdir()) == ["part-a-0", "part-a-1"]


def test_readers_who_leave_no_pause_do_not_keep_a_compactor_out(tmp_path: Path) -> None:
    fill(tmp_path, 2)
    done, reading_now = threading.Event(), threading.Barrier(4)

    def read_again_and_again() -> None:
        reading_now.wait()
        while not done.is_set():
            with locks.shared(tmp_path):
                done.wait(0.02)

    readers = [threading.Thread(target=read_again_and_again) for _ in range(3)]
    for reader in readers:
        reader.start()
    reading_now.wait()
    report = Compactor(tmp_path, Policy(patience_s=2.0)).run_once(CLOSED_MS)
    done.set()
    for reader in readers:
        reader.join()
    assert (report.merges, report.postponed) == (1, 0)


def test_a_second_compactor_is_refused(tmp_path: Path) -> None:
    with locks.sole_compactor(tmp_path), pytest.raises(TablesBusyError, match="another compactor"):
        Compactor(tmp_path).run_once(CLOSED_MS)


def test_a_stop_is_heard_before_the_next_merge(tmp_path: Path) -> None:
    fill(tmp_path, 2)
    assert Compactor(tmp_path).run_once(CLOSED_MS, lambda: True).merges == 0


def test_a_damaged_journal_is_named_and_nothing_is_guessed(tmp_path: Path) -> None:
    (tmp_path / journal.JOURNAL_NAME).write_text("{")
    with pytest.raises(TablesError, match="damaged"), reading(tmp_path):
        pass


def test_a_swap_whose_merged_file_is_lost_is_undone(tmp_path: Path) -> None:
    fill(tmp_path, 2)
    with pytest.raises(Killed):
        Compactor(tmp_path, PATIENT, killer(Step.NOTED)).run_once(CLOSED_MS)
    (hour(tmp_path) / ".compact-1.merging").unlink()
    assert journal.recover(tmp_path, patience_s=0)
    assert names(tmp_path) == ["part-a-0", "part-a-1"]


KILLS = [step for step in Step if step is not Step.LISTED]
NOTED_KILLS = {Step.NOTED, Step.SHOWN, Step.ONE_GONE, Step.ALL_GONE}


def kill_at(step: Step, tables_dir: Path) -> None:
    with pytest.raises(Killed):
        Compactor(tables_dir, PATIENT, killer(step)).run_once(CLOSED_MS)


@pytest.mark.parametrize("step", KILLS)
def test_every_reader_is_right_after_a_kill_at_any_step(step: Step, tmp_path: Path) -> None:
    fill(tmp_path, 3)
    kill_at(step, tmp_path)
    assert duck.query(tmp_path, "SELECT count(*) FROM user_behavior_all").rows == [(6,)]
    with settled(tmp_path):  # what Flink's reader does: it lists the folders itself
        rows = [line for path in committed(hour(tmp_path)) for line in path.read_text().splitlines()]
    assert len(rows) == 6


@pytest.mark.parametrize("step", KILLS)
def test_the_next_pass_clears_up_after_a_kill_at_any_step(step: Step, tmp_path: Path) -> None:
    fill(tmp_path, 3)
    kill_at(step, tmp_path)
    report = Compactor(tmp_path, PATIENT).run_once(CLOSED_MS)
    assert report.recovered == (step in NOTED_KILLS)
    assert len(list(hour(tmp_path).iterdir())) == 1
    assert not (tmp_path / journal.JOURNAL_NAME).exists()
    assert offsets(tmp_path) == list(range(6))


actions = st.one_of(
    st.tuples(st.just("write"), st.integers(1, 4)),
    st.tuples(st.sampled_from(["open pass", "closed pass"]), st.none()),
    st.tuples(st.sampled_from(list(Step)), st.integers(1, 4)),
)


@settings(max_examples=25, deadline=None)
@given(st.lists(actions, min_size=1, max_size=8))
def test_writes_passes_and_kills_in_any_order_lose_and_double_nothing(
    steps: Sequence[tuple[str, int | None]],
) -> None:
    with TemporaryDirectory() as folder:
        tables_dir, files = Path(folder), 0
        hour(tables_dir)
        for action, number in steps:
            if action == "write":
                fill(tables_dir, number or 0, first=files)
                files += number or 0
            else:
                one_pass(tables_dir, action, number)
            assert offsets(tables_dir) == list(range(2 * files))


def one_pass(tables_dir: Path, action: str, passings: int | None) -> None:
    on_step = journal.ignore_step if passings is None else killer(Step(action), passings)
    now_ms = OPEN_MS if action == "open pass" else CLOSED_MS
    try:
        Compactor(tables_dir, PATIENT, on_step).run_once(now_ms)
    except Killed:
        return


def test_a_reader_never_counts_wrong_while_a_job_writes_and_a_compactor_runs(tmp_path: Path) -> None:
    written, done, merged = [0], threading.Event(), threading.Event()
    policy = Policy(max_small_files=2, patience_s=1.0)

    def write() -> None:
        for number in range(60):
            fill(tmp_path, 1, first=number)
            written[0] = 2 * (number + 1)
            if number == 30:
                merged.wait(30)
        done.set()

    def compact() -> None:
        while not done.is_set():
            if Compactor(tmp_path, policy).run_once(OPEN_MS).merges:
                merged.set()

    hour(tmp_path)
    threads = [threading.Thread(target=work) for work in (write, compact)]
    for thread in threads:
        thread.start()
    while not done.is_set():
        least = written[0]
        seen = offsets(tmp_path)
        assert least <= len(seen) <= written[0] + 2
        assert len(set(seen)) == len(seen)
    for thread in threads:
        thread.join()
    assert duck.query(tmp_path, "SELECT count(*) FROM user_behavior_all").rows == [(120,)]
    assert len(names(tmp_path)) < 60


def test_a_folder_that_is_not_there_yet_holds_nothing_to_merge(tmp_path: Path) -> None:
    assert Compactor(tmp_path / "tables").run_once(0) == Report()
    assert not (tmp_path / "tables").exists()
