"""verdict.json, the report, and the log that a drill is run over."""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest

from job.deployment.shipping import PROJECT
from job.drills.collect import read_output
from job.drills.drill import make_room
from job.drills.drill_log import Scale, make_dataset, write_log
from job.drills.evidence import Output
from job.drills.faults import FAULTS
from job.drills.feeder import Fed
from job.drills.plan import plan
from job.drills.report import COLUMNS, FILES, cells, complaints, write_reports
from job.drills.timeline import Moment, timeline
from job.drills.verdict import Case, Judged, Verdict, judge, not_injected, skipped
from job.drills.watcher import Sample
from job.settings.groups import ListSettings
from job.settings.job_settings import JobSettings
from job.topology.rules import action_table, parsing_rules
from model.folders import MARKER, NotOursError
from tests.unit.drills.outputs import PLANTED, good_output, good_recovery, without_behavior
from tests.unit.tables.rows import HOUR, commit
from tests.unit.tables.rows import behavior as behavior_row
from tests.unit.tables.rows import made_list as list_row
from udfs.lists.list_rules import Policy
from udfs.log.file_log import partition_file
from udfs.log.parsing import DeadLetter, LogRecord, newest_after, parse

MOMENTS = (Moment(-0.5, 200, 40, True), Moment(0.0, 0, None, False), Moment(0.5, 400, 700, True))
TIMES = ["detected_s", "restarted_s", "caught_up_s"]
FIELDS = ["name", "injected_at", "evidence", "reprocessed", *TIMES, "lost", "doubled", "wrong_lists"]


def judged(output: Output) -> Judged:
    return judge(fault(output))


def fault(output: Output) -> Case:
    return Case(name="kill", output=output, control=good_output(), planted=PLANTED, recovery=good_recovery())


CONTROL = judge(Case(output=good_output(), planted=PLANTED))


def test_a_good_run_has_a_good_verdict(tmp_path: Path) -> None:
    write_reports(Verdict(CONTROL, [judged(good_output())]), tmp_path)
    told = json.loads((tmp_path / "verdict.json").read_text())
    assert told["ok"] is True
    mine = told["faults"][0]
    assert list(mine) == [*FIELDS, *(f"I{n}" for n in range(1, 10))]
    began = "1970-01-01T00:00:10.000+00:00"
    assert [mine[name] for name in FIELDS] == ["kill", began, "tasks stopped", 40, 0.2, 5.0, 6.0, 0, 0, 0]
    assert [mine[f"I{n}"] for n in range(1, 10)] == [True] * 9
    assert told["control"]["I7"] == "n/a: nothing was broken"


def test_one_thing_that_does_not_hold_spoils_the_verdict() -> None:
    lost = judged(without_behavior(good_output(), 2))
    assert not Verdict(CONTROL, [judged(good_output()), lost]).ok
    assert lost.to_json()["lost"] == 1
    assert lost.to_json()["I1"] is False


def test_a_control_that_does_not_hold_spoils_the_verdict() -> None:
    assert not Verdict(
        judge(Case(output=without_behavior(good_output(), 2), planted=PLANTED)), [judged(good_output())]
    ).ok


def test_the_reports_tell_what_does_not_hold(tmp_path: Path) -> None:
    lost = replace(judged(without_behavior(good_output(), 2)), moments=MOMENTS, description="<process>")
    write_reports(Verdict(CONTROL, [lost], [("system", "Linux")]), tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert "record 0/2 is in no table" in page
    assert "<svg" in page
    assert "&lt;process&gt;" in page
    assert not re.search(r"(src|href)=|https?://", page), "it needs no other file"
    suites = ElementTree.parse(tmp_path / "junit.xml").getroot()
    counts = {suite.get("name"): (suite.get("tests"), suite.get("failures")) for suite in suites}
    assert counts == {"control": ("9", "0"), "kill": ("9", "2")}
    assert len(suites.findall("testsuite/testcase/failure")) == 2


def test_the_files_of_a_verdict_can_be_checked(tmp_path: Path) -> None:
    write_reports(Verdict(CONTROL, [judged(good_output())]), tmp_path)
    lines = (tmp_path / "SHA256SUMS").read_text().splitlines()
    sums = {name: digest for digest, name in (line.split("  ") for line in lines)}
    assert set(sums) == set(FILES) - {"SHA256SUMS", "report.md"}
    for name, digest in sums.items():
        assert hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() == digest
    assert f"{sums['verdict.json']}  verdict.json" in (tmp_path / "report.html").read_text()


def test_a_fault_that_the_machine_does_not_allow_is_left_out_with_the_reason() -> None:
    left_out = skipped("cut-job-manager", "only root may make network namespaces")
    assert left_out.is_skipped
    assert not judged(good_output()).is_skipped
    assert not not_injected("kill", "no TaskManager").is_skipped
    assert Verdict(judge(fault(good_output())), [left_out]).ok
    assert left_out.to_json()["I7"] == "n/a: only root may make network namespaces"
    assert list(complaints(left_out)) == []


def test_a_fault_that_was_not_injected_spoils_the_verdict() -> None:
    missing = not_injected("kill", "no TaskManager")
    assert not Verdict(CONTROL, [missing]).ok
    assert missing.to_json()["I1"] == "n/a: the fault was not injected"
    assert len(cells(missing)) == len(COLUMNS)


def test_a_timeline_shows_work_age_and_outage() -> None:
    written = zip(good_output().lists, (900, 1_000, 1_700, 3_100, 3_200), strict=True)
    output = replace(good_output(), lists=tuple(replace(row, written_at=at) for row, at in written), letters=())
    fed = [Fed(800, (1,)), Fed(990, (7,))]
    seen = [Sample(1_500, False), Sample(2_900, True)]
    moments = timeline(output, fed, seen, (0,), 1_000)
    assert [(each.at_s, each.processed, each.freshness_ms, each.is_running) for each in moments] == [
        (-0.5, 1, 100, True),
        (0.0, 1, 10, True),
        (0.5, 1, 710, False),
        (1.0, 0, None, True),
        (1.5, 0, None, True),
        (2.0, 2, 2_210, True),
    ]


def test_a_run_has_a_cell_a_column() -> None:
    assert len(cells(CONTROL)) == len(COLUMNS)
    assert list(complaints(CONTROL)) == []


def test_faults_that_need_the_same_share_a_job_and_a_flood_comes_last() -> None:
    faults = [FAULTS[name] for name in ("poison-flood", "kill-task-manager", "kill-python-worker")]
    planned = plan(faults)
    assert [[(fault.name, segment) for fault, segment in run] for run in planned.runs] == [
        [("kill-task-manager", 0), ("kill-python-worker", 1), ("poison-flood", 2)]
    ]
    assert (planned.segments, planned.flooded) == (3, 2)
    every = plan(list(FAULTS.values()))
    assert sorted(fault.name for run in every.runs for fault, _ in run) == sorted(FAULTS)
    for run in every.runs:
        kinds = {(each.needs, each.expects.scores, each.expects.falls_back) for each, _ in run}
        assert len(kinds) == 1, "fallback lists and rows of two epochs stay in the tables"


def test_the_page_of_the_faults_has_a_line_for_each() -> None:
    text = (PROJECT / "docs" / "drills.md").read_text()
    rows = text.partition("## The faults")[2].splitlines()
    named = [name for row in rows for name in re.findall(r"`([\w-]+)`", row.split("|")[1] if "|" in row else "")]
    assert sorted(named) == sorted(FAULTS)


def test_every_fault_says_what_it_does() -> None:
    assert all(fault.name == name and fault.doc for name, fault in FAULTS.items())


def test_equal_scales_give_equal_logs_with_everything_in_them(tmp_path: Path) -> None:
    scale = Scale(users=20, items=50, behaviors=600)
    dataset = make_dataset(scale, tmp_path / "data")
    written = write_log(dataset, scale, tmp_path / "one")
    assert write_log(dataset, scale, tmp_path / "two").records == written.records > 600
    logs = [b"".join(file.read_bytes() for file in sorted((tmp_path / n).glob("*.jsonl"))) for n in ("one", "two")]
    assert logs[0] == logs[1]
    assert all(word in logs[0] for word in (b'"return"', b'"dislike"', b'"gaze"', b"no text"))


def test_the_outcome_of_each_record_of_a_log_is_known(tmp_path: Path) -> None:
    """As the job itself parses them, and drops repeated events."""
    scale = Scale(users=20, items=50, behaviors=900)
    log = write_log(make_dataset(scale, tmp_path / "data", 3), scale, tmp_path / "log", 3, flooded=1)
    outcomes = {
        (partition, offset): outcome
        for partition in range(scale.partitions)
        for offset, outcome in enumerate(parsed(log.folder, partition))
        if outcome
    }
    assert outcomes == log.planted
    assert set(log.planted.values()) >= {"duplicate", "late", "impossible_time", "unknown_action", "not_json"}
    sizes = [sum(end) - sum(log.start(segment)) for segment, end in enumerate(log.ends)]
    assert sizes[1] > 1.2 * max(sizes[0], sizes[2])


def parsed(log: Path, partition: int) -> Iterator[str | None]:
    settings = JobSettings(preset="replayable", lists=ListSettings(policy=Policy.HISTORY))
    rules, newest_ms, seen = parsing_rules(settings, action_table(settings)), 0, set[tuple[str, str]]()
    for offset, raw in enumerate(partition_file(log, partition).read_bytes().split(b"\n")[:-1]):
        found = parse(LogRecord(partition, offset, raw, len(raw)), rules, newest_ms=newest_ms, now_ms=0)
        if isinstance(found, DeadLetter):
            yield found.reason
            continue
        newest_ms = newest_after(newest_ms, found)
        key = (found.user_id, found.event_id or "")
        yield "duplicate" if found.event_id and key in seen else None
        seen.add(key)


def test_a_model_that_fails_alike_in_both_runs_does_not_pass(tmp_path: Path) -> None:
    """From rows of the tables on: every list is the rules', in the control too, so that all lists are equal."""
    rows = [behavior_row(offset) for offset in range(3)]
    outputs = []
    for number, why in enumerate(({"source": "scored"}, {"source": "fallback", "fallback_reason": "model_error"})):
        lists = [list_row(seq + 1, ["a", "b"]) | {"log_offset": seq, "model_hash": "ab"} | why for seq in range(3)]
        folder = tmp_path / f"tables-{number}"
        commit(folder / "user_behavior" / HOUR, "part-a-0", rows)
        commit(folder / "recommendation_lists" / HOUR, "part-a-0", lists)
        outputs.append(read_output({0: 3}, folder, map(msgspec.json.encode, lists)))
    good, failing = outputs
    assert {row.model for row in good.lists} == {"7 ab"}
    assert judge(Case(output=good, planted={})).ok
    assert judge(Case(output=failing, planted={})).findings["I3"].holds is False
    same = Case(name="kill", output=failing, control=failing, planted={}, recovery=good_recovery())
    assert judge(same).findings["I3"].examples == ("3 of 3 lists were made without a model's scores: model_error 3",)
    assert not judge(same).ok
    told = "fallback because of model_error, model 7 ab in place of scored, model 7 ab"
    assert judge(replace(same, control=good)).findings["I3"].examples[1].endswith(told)


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(NotOursError, match="new folder"):
        make_room(tmp_path)


def test_an_earlier_drill_is_replaced(tmp_path: Path) -> None:
    make_room(tmp_path / "out")
    for name in (*FILES, "notes of mine"):
        (tmp_path / "out" / name).touch()
    for name in ("setup", "control", "run-1", "run-12", "kill-task-manager"):
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
    told = judge(replace(fault(good_output()), recovery=never)).to_json()
    assert told["restarted_s"] is None
    assert told["I7"] is False
