"""The times of the faults that have a goal."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from job.drills.goals import GOALS_S, measured
from job.drills.report import write_reports
from job.drills.verdict import Case, Judged, Verdict, judge, not_injected
from tests.unit.drills.outputs import INJECTED_MS, PLANTED, good_output, good_recovery

CONTROL = judge(Case(output=good_output(), planted=PLANTED))


def took(seconds: float | None, name: str = "kill-leader") -> Judged:
    caught_up_ms = None if seconds is None else INJECTED_MS + round(seconds * 1000)
    return replace(CONTROL, name=name, recovery=replace(good_recovery(), caught_up_ms=caught_up_ms))


@pytest.mark.parametrize(
    ("seconds", "median_s", "worst_s", "reached"),
    [
        ([14.0], 14.0, 14.0, True),
        ([15.0, 90.0, 2.0], 15.0, 90.0, True),
        ([15.1, 90.0, 2.0], 15.1, 90.0, False),
        ([2.0, 3.0, None], 3.0, None, True),
        ([2.0, None, None], None, None, False),
    ],
)
def test_the_median_decides_and_a_job_that_never_caught_up_is_the_worst(
    seconds: list[float | None], median_s: float | None, worst_s: float | None, *, reached: bool
) -> None:
    (found,) = measured([took(each) for each in seconds])
    told = found.to_json()
    assert (told["median_s"], told["worst_s"], told["reached"]) == (median_s, worst_s, reached)
    assert (told["fault"], told["times"], told["goal_s"]) == ("kill-leader", len(seconds), GOALS_S["kill-leader"])
    assert ("never" in found.cells()) is (worst_s is None)


def test_what_has_no_goal_and_what_was_not_injected_is_not_measured() -> None:
    assert list(measured([took(1.0, "freeze-task-manager"), not_injected("kill-leader", "no moment")])) == []


def test_times_and_the_smallest_part_are_in_the_reports(tmp_path: Path) -> None:
    combined = replace(took(3.0, "kill-leader +1 model-raises >2 model-hangs"), smallest="kill-leader +1 model-raises")
    write_reports(Verdict(CONTROL, [took(9.0), combined]), tmp_path)
    verdict = json.loads((tmp_path / "verdict.json").read_text())
    assert [each["median_s"] for each in verdict["times"]] == [9.0]
    assert verdict["faults"][1]["repeat"] == "recloop drill --fault 'kill-leader +1 model-raises'"
    assert "smallest" not in verdict["faults"][0]
    page = (tmp_path / "report.html").read_text()
    assert "Times to a job that has caught up" in page
    assert "the smallest part that fails is kill-leader +1 model-raises" in page
