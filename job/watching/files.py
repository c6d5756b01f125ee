"""The files that are made from the definitions: `python -m job.watching.files` writes them, and a test compares.

The packages that it needs are those of requirements/dev.in: a running recloop makes none of these files.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import yaml

from job.watching.alerts import ALERTS, RUNBOOK, Alert
from job.watching.dashboard import dashboard_json
from job.watching.fault_entries import FAULT_ENTRIES, FaultEntry
from udfs.flink.metrics import Metric

ROOT = Path(__file__).resolve().parents[2]
_MADE = "Made by `make dashboards`: change job/watching/ or udfs/flink/metrics.py instead."
_RUNBOOK = """\
# Runbook

An alert of [docker/prometheus/alerts.yml]({alerts}) called you: find its entry. A `page` wants somebody now, a `ticket`
somebody in working hours. [Watching](watching.md) says how the alerts come to you, and [when things fail](failures.md)
has every fault, also those that nobody has to act on.
"""
_FAULTS = """\
## Faults as drills made them

`recloop drill --fault NAME` makes each of these on a cluster of its own, and judges what the job did; see
[recovery drills](drills.md).

"""
_METRICS = """\
# Metrics

Every metric that the job reports, with its name in Prometheus; [Watching](watching.md) says how to read them. Counts
begin anew when their operator starts, which `rate` and `increase` know. Labels beside those named: `job_name`,
`operator_name`, `subtask_index`, `tm_id`, `host` and more of Flink's.

| metric | in Prometheus | kind | unit | labels | operator |
| --- | --- | --- | --- | --- | --- |
"""
_ALERTS_PAGE = "https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/"


def alerts_yaml() -> str:
    """Return the rules as Prometheus reads them."""
    groups = {"groups": [{"name": "recloop", "rules": [_rule(alert) for alert in ALERTS]}]}
    return f"# {_MADE}\n{yaml.safe_dump(groups, sort_keys=False, width=4_096, allow_unicode=True)}"


def runbook() -> str:
    """Return the runbook page: an entry an alert, and one for each fault that drills made."""
    entries = (*(_entry(alert) for alert in ALERTS), _FAULTS, *(_fault_entry(each) for each in FAULT_ENTRIES))
    return f"{_RUNBOOK.format(alerts=_ALERTS_PAGE)}\n{''.join(entries)}".rstrip() + "\n"


def metrics_page() -> str:
    """Return the page of the metrics."""
    rows = (
        f"| `{each}` | `{each.series}` | {each.kind.value} | {each.unit} | {', '.join(each.labels) or '-'} "
        f"| {', '.join(each.operators)} |\n"
        for each in Metric
    )
    texts = (f"**`{each}`** {each.text}\n\n" for each in Metric)
    return f"{_METRICS}{''.join(rows)}\n## What each counts\n\n{''.join(texts)}".rstrip() + "\n"


FILES: Mapping[str, Callable[[], str]] = MappingProxyType(
    {
        "docker/grafana/recloop.json": dashboard_json,
        "docker/prometheus/alerts.yml": alerts_yaml,
        RUNBOOK: runbook,
        "docs/metrics.md": metrics_page,
    }
)


def main() -> None:
    """Write all files."""
    for name, text in FILES.items():
        path = ROOT / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text())


def _rule(alert: Alert) -> dict[str, object]:
    return {
        "alert": alert.name,
        "expr": alert.condition,
        "for": alert.lasts,
        "labels": {"severity": alert.severity},
        "annotations": {"summary": alert.summary, "runbook": f"{RUNBOOK}#{alert.name.lower()}"},
    }


def _entry(alert: Alert) -> str:
    fires = f"`{alert.severity}`, when this holds for {alert.lasts}" if alert.lasts != "0s" else f"`{alert.severity}`"
    advice = _advice(alert.seen, alert.does, alert.todo)
    return f"## {alert.name}\n\n{fires}:\n\n```\n{alert.condition}\n```\n\n{advice}"


def _fault_entry(entry: FaultEntry) -> str:
    return f"### {entry.title}\n\n`{entry.fault}`\n\n{_advice(entry.seen, entry.does, entry.todo)}"


def _advice(seen: str, does: str, todo: str) -> str:
    return f"- **You see.** {seen}\n- **The job.** {does}\n- **Do.** {todo}\n\n"


if __name__ == "__main__":
    main()
