"""The smoke drill for real: a control run, and three faults in the middle of one job's work."""

import json
from pathlib import Path

import pytest

from job.cluster.layout import Layout
from job.cluster.processes import marked
from job.drills.drill import run_drill
from job.drills.faults import FAULTS, SMOKE_FAULTS
from job.drills.report import complaints

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]


def test_a_job_comes_back_from_each_fault_without_a_trace(tmp_path: Path) -> None:
    phases: list[str] = []
    verdict = run_drill([FAULTS[name] for name in SMOKE_FAULTS], tmp_path / "drill", phases.append)
    report = json.loads((tmp_path / "drill" / "verdict.json").read_text())
    assert verdict.ok, [line for run in (verdict.control, *verdict.faults) for line in complaints(run)]
    assert report["ok"] is True
    assert [fault["name"] for fault in report["faults"]] == list(SMOKE_FAULTS)
    for fault in report["faults"]:
        assert (fault["lost"], fault["doubled"], fault["wrong_lists"]) == (0, 0, 0)
        assert [fault[f"I{n}"] for n in (1, 2, 3, 4, 5, 7, 9)] == [True] * 7
        assert fault["evidence"]
    for fault in report["faults"][:2]:
        assert fault["reprocessed"] > 0
        assert 0 < fault["detected_s"] < fault["restarted_s"] <= fault["caught_up_s"]
        assert fault["I6"] is True
    for run in ("control", "run-1"):
        assert marked(Layout(tmp_path / "drill" / run / "cluster")) == []
