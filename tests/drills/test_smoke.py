"""The smoke drill for real: a control run, and a TaskManager killed in the middle of work."""

import json
from pathlib import Path

import pytest

from job.cluster.layout import Layout
from job.cluster.processes import marked
from job.drills.drill import run_drill
from job.drills.faults import FAULTS, SMOKE_FAULTS

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]


def test_a_killed_task_manager_leaves_no_trace(tmp_path: Path) -> None:
    phases: list[str] = []
    verdict = run_drill([FAULTS[name] for name in SMOKE_FAULTS], tmp_path / "drill", phases.append)
    told = json.loads((tmp_path / "drill" / "verdict.json").read_text())
    assert verdict.ok, (tmp_path / "drill" / "report.md").read_text()
    assert told["ok"] is True
    (fault,) = told["faults"]
    assert fault["reprocessed"] > 0
    assert 0 < fault["detected_s"] < fault["restarted_s"] <= fault["caught_up_s"]
    assert (fault["lost"], fault["doubled"], fault["wrong_lists"]) == (0, 0, 0)
    assert [fault[f"I{n}"] for n in range(1, 9)] == [True] * 8
    for run in ("control", *SMOKE_FAULTS):
        assert marked(Layout(tmp_path / "drill" / run / "cluster")) == []
