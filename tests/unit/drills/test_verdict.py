"""verdict.json, the report, and the log that a drill is run over."""

import json
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from job.drills.collect import read_output
from job.drills.drill import make_room
from job.drills.drill_log import Scale, make_dataset, mixed, write_log
from job.drills.evidence import Expectation, Output
from job.drills.faults import FAULTS
from job.drills.report import COLUMNS, cells, complaints, write_report
from job.drills.verdict import Judged, Verdict, judge_control, judge_fault
from job.replay.log_writer import create_log
from model.folders import MARKER, NotOursError
from model.records import UserBehavior
from tests.unit.drills.outputs import good_output, good_recovery, without_behavior
from tests.unit.tables.rows import HOUR, commit
from tests.unit.tables.rows import behavior as behavior_row
from tests.unit.tables.rows import made_list as list_row
from udfs.log.file_log import partition_file

CONTROL = judge_control(good_output())
FIELDS = ["name", "reprocessed", "detected_s", "restarted_s", "caught_up_s", "lost", "doubled", "wrong_lists"]


def judged(output: Output) -> Judged:
    return judge_fault("kill", "a process", (output, good_output()), good_recovery(), Expectation())


def test_a_good_run_has_a_good_verdict(tmp_path: Path) -> None:
    Verdict(CONTROL, [judged(good_output())]).to_file(tmp_path / "verdict.json")
    told = json.loads((tmp_path / "verdict.json").read_text())
    assert told["ok"] is True
    assert list(told["faults"][0]) == [*FIELDS, "I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8"]
    assert told["faults"][0] == {
        **dict(zip(FIELDS, ["kill", 40, 0.2, 5.0, 6.0, 0, 0, 0], strict=True)),
        **{f"I{n}": True for n in range(1, 9)},
    }
    assert told["control"]["I7"] == "n/a: nothing was broken"


def test_one_thing_that_does_not_hold_spoils_the_verdict() -> None:
    lost = judged(without_behavior(good_output(), 2))
    assert not Verdict(CONTROL, [judged(good_output()), lost]).ok
    assert lost.to_json()["lost"] == 1
    assert lost.to_json()["I1"] is False


def test_a_control_that_does_not_hold_spoils_the_verdict() -> None:
    assert not Verdict(judge_control(without_behavior(good_output(), 2)), [judged(good_output())]).ok


def test_the_report_tells_what_does_not_hold(tmp_path: Path) -> None:
    write_report(Verdict(CONTROL, [judged(without_behavior(good_output(), 2))]), tmp_path / "report.md")
    assert "record 0/2 is in no table" in (tmp_path / "report.md").read_text()


def test_a_run_has_a_cell_a_column() -> None:
    assert len(cells(CONTROL)) == len(COLUMNS)
    assert list(complaints(CONTROL)) == []


def test_every_fault_says_what_it_does() -> None:
    assert all(fault.name == name and fault.doc for name, fault in FAULTS.items())


def test_equal_scales_give_equal_logs_with_everything_in_them(tmp_path: Path) -> None:
    scale = Scale(users=20, items=50, behaviors=600)
    dataset = make_dataset(scale, tmp_path / "data")
    records = write_log(dataset, scale, tmp_path / "one")
    assert write_log(dataset, scale, tmp_path / "two") == records > 600
    logs = [b"".join(file.read_bytes() for file in sorted((tmp_path / n).glob("*.jsonl"))) for n in ("one", "two")]
    assert logs[0] == logs[1]
    assert all(word in logs[0] for word in (b'"return"', b'"dislike"', b'"gaze"', b"no text"))


def test_named_behaviours_are_repeated_as_they_were() -> None:
    behaviors = [UserBehavior("u", "view", f"i{n}", 1_000_000_000_000 + n) for n in range(600)]
    lines = [line for _, line in mixed(iter(behaviors), Random(1)) if line.endswith(b"}") and b"event_id" in line]
    assert len(set(lines)) < len(lines)


def test_a_model_that_fails_alike_in_both_runs_does_not_pass(tmp_path: Path) -> None:
    """From rows of the tables on: every list is the rules', in the control too, so that all lists are equal."""
    create_log(tmp_path / "log", 1)
    partition_file(tmp_path / "log", 0).write_text("{}\n" * 3)
    rows = [behavior_row(offset) for offset in range(3)]
    outputs = []
    for number, why in enumerate(({"source": "scored"}, {"source": "fallback", "fallback_reason": "model_error"})):
        lists = [list_row(seq + 1, ["a", "b"]) | {"log_offset": seq, "model_hash": "ab"} | why for seq in range(3)]
        folder = tmp_path / f"tables-{number}"
        commit(folder / "user_behavior" / HOUR, "part-a-0", rows)
        commit(folder / "recommendation_lists" / HOUR, "part-a-0", lists)
        outputs.append(read_output(tmp_path / "log", folder))
    good, failing = outputs
    assert {row.model for row in good.lists} == {"7 ab"}
    assert judge_control(good).ok
    assert judge_control(failing).findings["I8"].holds is False
    both = judge_fault("kill", "", (failing, failing), good_recovery(), Expectation())
    assert (both.findings["I3"].holds, both.ok) == (True, False)
    one = judge_fault("kill", "", (failing, good), good_recovery(), Expectation())
    told = "fallback because of model_error, model 7 ab in place of scored, model 7 ab"
    assert one.findings["I3"].examples[0].endswith(told)


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(NotOursError, match="new folder"):
        make_room(tmp_path)


def test_an_earlier_drill_is_replaced(tmp_path: Path) -> None:
    make_room(tmp_path / "out")
    for name in ("verdict.json", "report.md", "notes of mine"):
        (tmp_path / "out" / name).touch()
    for name in ("setup", "control", *FAULTS):
        (tmp_path / "out" / name / "cluster").mkdir(parents=True)
    make_room(tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {MARKER, "notes of mine"}


def test_a_drill_of_a_version_without_markers_is_replaced(tmp_path: Path) -> None:
    for name in ("drill.txt", "verdict.json"):
        (tmp_path / name).touch()
    make_room(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {MARKER, "drill.txt"}


def test_a_moment_that_never_came_is_null() -> None:
    never = replace(good_recovery(), restarted_ms=None)
    told = judge_fault("kill", "", (good_output(), good_output()), never, Expectation()).to_json()
    assert told["restarted_s"] is None
    assert told["I7"] is False
