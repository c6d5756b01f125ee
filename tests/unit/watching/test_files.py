"""The dashboard, the rules and the pages: they are what the definitions make, and name what is there."""

import re

import pytest

from job.deployment.shipping import PROJECT
from job.drills.faults import FAULTS
from job.drills.site import Needs
from job.watching.alerts import ALERTS, RUNBOOK
from job.watching.dashboard import expressions
from job.watching.fault_entries import FAULT_ENTRIES
from job.watching.files import FILES
from job.watching.flink_series import FlinkSeries
from job.watching.panels import ROWS
from udfs.flink.metrics import Metric, MetricKind

pytestmark = pytest.mark.heavy
_SERIES = re.compile(r"\bflink_\w+")
_ALL = [*expressions(), *(alert.condition for alert in ALERTS)]


def named() -> set[str]:
    return {name for expression in _ALL for name in _SERIES.findall(expression)}


@pytest.mark.parametrize("name", FILES)
def test_the_committed_file_is_the_one_that_the_definitions_make(name: str) -> None:
    assert (PROJECT / name).read_text() == FILES[name](), "make dashboards"


def test_every_series_that_is_named_is_defined() -> None:
    assert named() <= {*(metric.series for metric in Metric), *FlinkSeries}


def test_every_metric_of_the_job_and_of_flinks_is_on_the_dashboard_or_in_a_rule() -> None:
    assert {*(metric.series for metric in Metric), *FlinkSeries} <= named()


def test_every_alert_names_its_entry_in_the_runbook() -> None:
    headings = re.findall(r"^## (\w+)$", (PROJECT / RUNBOOK).read_text(), re.MULTILINE)
    assert headings == [alert.name for alert in ALERTS]
    assert len(set(headings)) == len(headings)
    rules = (PROJECT / "docker/prometheus/alerts.yml").read_text()
    assert all(f"runbook: {RUNBOOK}#{heading.lower()}" in rules for heading in headings)


def test_every_fault_of_the_runbook_is_one_that_a_drill_makes() -> None:
    named = [entry.fault for entry in FAULT_ENTRIES]
    assert set(named) <= set(FAULTS)
    assert len(set(named)) == len(named)
    assert {name for name, fault in FAULTS.items() if fault.needs is Needs.KAFKA} <= set(named)
    text = (PROJECT / RUNBOOK).read_text()
    assert all(f"### {entry.title}\n\n`{entry.fault}`" in text for entry in FAULT_ENTRIES)


def test_every_text_is_a_sentence() -> None:
    texts = [text for alert in ALERTS for text in (alert.summary, alert.seen, alert.does, alert.todo)]
    texts += [text for entry in FAULT_ENTRIES for text in (entry.seen, entry.does, entry.todo)]
    texts += [metric.text for metric in Metric] + [panel.text for row in ROWS for panel in row.panels]
    assert [text for text in texts if not re.fullmatch(r"[A-Z`{].*[.]", text, re.DOTALL)] == []


def test_counts_are_read_by_their_rate_and_levels_as_they_are() -> None:
    for metric in Metric:
        within = [expression for expression in _ALL if re.search(rf"\b{metric.series}\b", expression)]
        rated = [
            f"({metric.series}" in each and re.search(rf"(rate|increase)\({metric.series}\b", each) for each in within
        ]
        is_offset = metric is Metric.NEXT_OFFSET  # a level whose rate is that of reading
        assert all(map(bool, rated)) is (metric.kind is not MetricKind.LEVEL or is_offset), metric
