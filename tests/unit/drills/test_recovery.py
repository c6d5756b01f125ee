"""When a job was down, when it caught up, and what it did again."""

import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from job.drills.collect import caught_up_ms, count_reprocessed
from job.drills.drill_log import DrillLog
from job.drills.evidence import Output
from job.drills.feeder import Fed, Feeder
from job.drills.run_log import FilesLog
from job.drills.uncommitted import uncommitted_behaviors
from job.drills.watcher import Sample, outage
from job.replay.log_writer import PartitionWriter, create_log
from tests.unit.drills.outputs import behavior, good_output
from udfs.log.file_log import partition_file

DAY_MS = 86_400_000


def samples(*seen: tuple[int, bool]) -> list[Sample]:
    return [Sample(at_ms, running) for at_ms, running in seen]


def test_an_outage_begins_with_the_first_sample_that_is_down_and_ends_with_the_last_that_comes_up() -> None:
    seen = samples((1, False), (5, True), (10, True), (12, False), (20, True), (21, False), (30, True), (31, True))
    assert outage(seen, 9) == (12, 30)


def test_a_job_that_is_down_in_the_end_never_restarted() -> None:
    assert outage(samples((10, True), (12, False), (20, True), (21, False)), 9) == (12, None)


def test_a_job_that_never_went_down_was_not_detected() -> None:
    assert outage(samples((10, True), (12, True)), 9) == (None, None)


def test_rows_of_a_clock_that_was_a_day_wrong_are_stamped_with_the_fault_s_moment() -> None:
    now = 10 * DAY_MS
    seen = output_written_at(now - 5_000, now + DAY_MS, now - DAY_MS, now)
    stamped = seen.by_one_clock(now - 1_000, now)
    assert [row.written_at for row in stamped.behaviors] == [now - 5_000, now - 1_000, now - 1_000, now]
    assert [replace(row, written_at=0) for row in stamped.behaviors] == [
        replace(row, written_at=0) for row in seen.behaviors
    ]


def grown(*growths: tuple[int, int]) -> list[Fed]:
    return [Fed(at_ms, (end,)) for at_ms, end in growths]


def output_written_at(*written: int) -> Output:
    rows = tuple(replace(behavior(n, "view", "a", n + 1), written_at=at) for n, at in enumerate(written))
    return Output({0: len(rows)}, rows, (), (), ())


def test_a_job_has_caught_up_when_new_records_are_processed_at_once() -> None:
    output = output_written_at(1_010, 9_000, 9_100, 9_200, 9_650)
    fed = grown((1_000, 1), (2_000, 2), (5_000, 3), (8_900, 4), (9_600, 5))
    assert caught_up_ms(fed, output, 8_000) == 9_200


def test_a_job_that_is_always_late_has_caught_up_with_the_last_record() -> None:
    assert caught_up_ms(grown((1_000, 1), (2_000, 2)), output_written_at(8_000, 9_000), 8_000) == 9_000


def test_a_job_that_had_nothing_left_to_do_has_caught_up_when_it_is_back() -> None:
    assert caught_up_ms(grown((1_000, 1)), output_written_at(1_100), 8_000) == 8_000


def test_a_job_that_never_restarted_has_not_caught_up() -> None:
    assert caught_up_ms(grown((1_000, 1)), output_written_at(1_100), None) is None


def hidden_file(tables: Path, rows: list[tuple[int, int]]) -> None:
    folder = tables / "user_behavior" / "dt=2026-01-01" / "hour=00"
    folder.mkdir(parents=True)
    lines = [
        json.dumps({"log_partition": 0, "log_offset": offset, "epoch": 1, "written_at": written_at, "user_id": "u"})
        for offset, written_at in rows
    ]
    (folder / ".part-a-0.inprogress.b").write_text("\n".join([*lines, '{"log_par']))
    (folder / "part-a-0").write_text(lines[0] + "\n")


def test_only_hidden_rows_of_the_killed_attempt_that_are_there_anew_were_reprocessed(tmp_path: Path) -> None:
    hidden_file(tmp_path, [(0, 50), (1, 50), (9, 50), (3, 150)])
    late = replace(good_output(), behaviors=tuple(replace(row, written_at=150) for row in good_output().behaviors))
    early = replace(good_output(), behaviors=tuple(replace(row, written_at=99) for row in good_output().behaviors))
    assert [row.log_offset for row in uncommitted_behaviors(tmp_path)] == [0, 1, 9, 3]
    assert count_reprocessed(tmp_path, late, 100) == 2
    assert count_reprocessed(tmp_path, early, 100) == 0


def make_log(folder: Path) -> DrillLog:
    create_log(folder, 2)
    for partition in range(2):
        writer = PartitionWriter(folder, partition)
        writer.append(b"%d" % n for n in range(40 * (partition + 1)))
        writer.close()
    return DrillLog(folder, ((10, 20), (40, 80)), {})


def test_a_fed_log_ends_with_the_same_bytes_and_stops_at_the_end_of_each_segment(tmp_path: Path) -> None:
    source = make_log(tmp_path / "source")
    with Feeder(source, FilesLog(tmp_path / "target", 2), rate=2_000) as feeder:
        feeder.begin(0)
        feeder.finish()
        assert (feeder.appended, feeder.fed[-1].ends) == (30, (10, 20))
        feeder.begin(1)
        feeder.finish()
        assert feeder.has_same_records()
    assert partition_file(tmp_path / "target", 1).read_bytes() == partition_file(source.folder, 1).read_bytes()
    assert feeder.fed[-1].ends == (40, 80)


def test_a_feeder_in_a_hurry_appends_the_rest_at_once(tmp_path: Path) -> None:
    with Feeder(make_log(tmp_path / "source"), FilesLog(tmp_path / "target", 2), rate=0.001) as feeder:
        feeder.begin(0)
        feeder.hurry()
        feeder.finish()
        assert feeder.appended == 30


def test_a_feeder_that_is_left_early_stops(tmp_path: Path) -> None:
    with Feeder(make_log(tmp_path / "source"), FilesLog(tmp_path / "target", 2), rate=1) as feeder:
        feeder.begin(0)
    assert "feeder" not in [thread.name for thread in threading.enumerate()]
    assert feeder.appended < 30


@pytest.mark.parametrize("content", [b"0\n2\n", b"".join(b"%d\n" % n for n in range(81))], ids=["others", "more"])
def test_a_log_with_other_records_is_found_out(content: bytes, tmp_path: Path) -> None:
    with Feeder(make_log(tmp_path / "source"), FilesLog(tmp_path / "target", 2), rate=2_000) as feeder:
        feeder.begin(0)
        feeder.finish()
        assert feeder.has_same_records()
        partition_file(tmp_path / "target", 1).write_bytes(content)
        assert not feeder.has_same_records()


def test_a_job_that_processed_nothing_has_not_caught_up() -> None:
    nothing = replace(good_output(), behaviors=(), lists=(), letters=(), ends={0: 2})
    assert caught_up_ms(grown((1_000, 1), (2_000, 2)), nothing, 500) is None
