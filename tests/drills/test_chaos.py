"""Combinations of faults for real: one that the job comes back from, and one whose smallest part is found."""

import json
from pathlib import Path

import pytest

from job.drills.combined import named
from job.drills.drill import run_drill
from job.drills.drill_log import CHAOS
from job.drills.report import complaints
from tests.drills.test_mutations import rows_shown_at_once

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(1_800)]


def test_a_job_comes_back_from_faults_that_overlap_and_follow_each_other(tmp_path: Path) -> None:
    fault = named("kill-compactor +0.5 kill-python-worker >0.3 kill-task-manager")
    verdict = run_drill([fault], tmp_path / "drill", lambda _: None, CHAOS)
    assert verdict.ok, [line for run in (verdict.control, *verdict.faults) for line in complaints(run)]


def test_the_part_that_breaks_a_job_is_found(tmp_path: Path) -> None:
    code = rows_shown_at_once(tmp_path)
    fault = named("model-raises >0.5 kill-task-manager")
    verdict = run_drill([fault], tmp_path / "drill", lambda _: None, CHAOS, code=code)
    assert not verdict.ok
    (told,) = json.loads((tmp_path / "drill" / "verdict.json").read_text())["faults"]
    assert told["I1"] is False
    assert told["smallest"] == "kill-task-manager"
    assert told["repeat"] == "recloop drill --fault kill-task-manager"
