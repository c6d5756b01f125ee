"""The rules under promtool: they are valid, each fires where it should and for no healthy job, and it resolves."""

import json
from pathlib import Path
from typing import Any

import pytest

from job.deployment.shipping import PROJECT
from job.watching.alerts import ALERTS
from job.watching.flink_series import FlinkSeries
from tests.watching.programs import check
from udfs.flink.metrics import Metric

pytestmark = pytest.mark.slow
RULES = PROJECT / "docker/prometheus/alerts.yml"
MINUTES = 60
STEP_S = 15
STEPS = [step * STEP_S / 60 for step in range(MINUTES * 60 // STEP_S)]
"""The minutes at which there are samples."""
FAULT = (20, 40)
"""The minutes in which something is wrong."""

Series = dict[str, str]


def by_minute(before: float, during: float, after: float | None = None) -> str:
    """Samples of a count that rises by so much in each minute before, during and after the fault."""
    value, values = 0.0, []
    for minute in STEPS:
        values.append(f"{value:g}")
        rise = before if minute < FAULT[0] else during if minute < FAULT[1] else before if after is None else after
        value += rise * STEP_S / 60
    return " ".join(values)


def level(healthy: float, fault: float | None) -> str:
    """Samples of a level; None: there is no series during the fault."""
    during = "_" if fault is None else f"{fault:g}"
    return " ".join(during if FAULT[0] <= minute < FAULT[1] else f"{healthy:g}" for minute in STEPS)


def series(metric: Metric | FlinkSeries, labels: str = "") -> str:
    name = metric.series if isinstance(metric, Metric) else metric.value
    return f'{name}{{job_name="recloop"{labels}}}'


def freshness(before: float, within_1s: float) -> Series:
    """100 lists a minute, of which so many are made within a second during the fault; all before and after."""
    bounds = {"1000": within_1s, "5000": 100.0, "+Inf": 100.0}
    return {
        series(Metric.FRESHNESS_MS, f', le="{bound}"'): by_minute(before, during) for bound, during in bounds.items()
    }


HEALTHY: Series = {
    **freshness(100, 100),
    series(FlinkSeries.JOBS): level(1, 1),
    series(FlinkSeries.TASK_MANAGERS): level(2, 2),
    series(FlinkSeries.CHECKPOINTS_COMPLETED): by_minute(30, 30),
    series(FlinkSeries.CHECKPOINT_MS): level(200, 200),
    series(FlinkSeries.RESTARTS): level(1, 1),
    series(Metric.LOG_LAG_MS, ', partition="0"'): level(0, 300),
    series(Metric.LOG_SILENT_MS): level(0, 800),
    series(Metric.LISTS): by_minute(100, 100),
    series(Metric.BEHAVIORS_APPLIED): by_minute(100, 100),
    series(Metric.DUPLICATES): by_minute(1, 1),
    series(Metric.FALLBACKS, ', reason="deadline"'): by_minute(1, 1),
    series(Metric.FALLBACKS, ', reason="shed"'): by_minute(50, 50),
    series(Metric.DEAD_LETTERS, ', reason="late"'): by_minute(0.5, 0.5),
    series(Metric.OFFSETS_GONE): by_minute(0, 0),
    series(Metric.SWAP_FAILURES): by_minute(0, 0),
}
FAULTS: dict[str, Series] = {
    "RecloopJobMissing": {series(FlinkSeries.JOBS): level(1, 0)},
    "RecloopMetricsMissing": {series(FlinkSeries.JOBS): level(1, None)},
    "RecloopListsStale": freshness(100, 80),
    "RecloopBehindTheLog": {series(Metric.LOG_LAG_MS, ', partition="0"'): level(0, 45_000)},
    "RecloopLogSilent": {series(Metric.LOG_SILENT_MS): level(0, 45_000)},
    "RecloopListsWithoutScores": {series(Metric.FALLBACKS, ', reason="deadline"'): by_minute(1, 20)},
    "RecloopModelDoesNotLoad": {series(Metric.SWAP_FAILURES): by_minute(0, 1, 0)},
    "RecloopDeadLetters": {series(Metric.DEAD_LETTERS, ', reason="late"'): by_minute(0.5, 3)},
    "RecloopOffsetsGone": {series(Metric.OFFSETS_GONE): by_minute(0, 2)},
    "RecloopNoCheckpoint": {series(FlinkSeries.CHECKPOINTS_COMPLETED): by_minute(30, 0)},
    "RecloopSlowCheckpoints": {series(FlinkSeries.CHECKPOINT_MS): level(200, 40_000)},
    "RecloopRestarts": {series(FlinkSeries.RESTARTS): by_minute(0, 1)},
    "RecloopTaskManagerLost": {series(FlinkSeries.TASK_MANAGERS): level(2, 1)},
}
"""The series that differ from a healthy job's while each alert has to fire."""


def firing_at(series: Series, alerts: dict[str, dict[int, bool]], folder: Path) -> None:
    """Has promtool run the rules over the series; fails unless each alert fires at just the minutes that are true."""
    wanted = [
        {
            "eval_time": f"{minute}m",
            "alertname": name,
            "exp_alerts": [{"exp_labels": labels_of(name), "exp_annotations": annotations_of(name)}] if fires else [],
        }
        for name, minutes in alerts.items()
        for minute, fires in minutes.items()
    ]
    inputs = [{"series": name, "values": values} for name, values in series.items()]
    test = {"interval": f"{STEP_S}s", "input_series": inputs, "alert_rule_test": wanted}
    file = folder / "rules.test.yml"
    file.write_text(json.dumps({"rule_files": [str(RULES)], "evaluation_interval": "15s", "tests": [test]}))
    check("test", "rules", str(file))


def labels_of(name: str) -> dict[str, str]:
    alert = next(each for each in ALERTS if each.name == name)
    labels: dict[str, str] = {"severity": alert.severity}
    if "$labels.partition" in alert.summary:
        labels["partition"] = "0"
    return labels if name in {"RecloopMetricsMissing", "RecloopTaskManagerLost"} else {**labels, "job_name": "recloop"}


def annotations_of(name: str) -> dict[str, Any]:
    alert = next(each for each in ALERTS if each.name == name)
    summary = alert.summary.replace("{{ $labels.job_name }}", "recloop").replace("{{ $labels.partition }}", "0")
    return {"summary": summary, "runbook": f"docs/runbook.md#{name.lower()}"}


def test_the_rules_are_valid() -> None:
    assert f"SUCCESS: {len(ALERTS)} rules found" in check("check", "rules", str(RULES))


def test_the_configuration_of_the_container_is_valid(tmp_path: Path) -> None:
    text = (PROJECT / "docker/prometheus/prometheus.yml").read_text()
    file = tmp_path / "prometheus.yml"
    file.write_text(text.replace("/etc/prometheus/alerts.yml", str(RULES)))
    assert "SUCCESS" in check("check", "config", str(file))


def test_of_a_healthy_job_nothing_is_reported(tmp_path: Path) -> None:
    quiet = dict.fromkeys(range(10, MINUTES, 5), False)
    firing_at(HEALTHY, {alert.name: quiet for alert in ALERTS}, tmp_path)


def test_every_alert_has_its_fault() -> None:
    assert list(FAULTS) == [alert.name for alert in ALERTS]


@pytest.mark.parametrize("name", FAULTS)
def test_an_alert_fires_for_its_fault_and_resolves(name: str, tmp_path: Path) -> None:
    before, during, after = FAULT[0] - 1, FAULT[1] - 5, MINUTES - 2
    firing_at({**HEALTHY, **FAULTS[name]}, {name: {before: False, during: True, after: False}}, tmp_path)
