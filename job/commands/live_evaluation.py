"""The part of `recloop evaluate` that runs the job: its options, and the tables of its report."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.table import Table

from job.commands.options import console, terminated_as_interrupted
from job.commands.output import Screen, figure, print_json
from job.settings.job_settings import load
from model.bundles.bundle import Bundle
from model.bundles.trial import try_bundle
from model.folders import checked_name
from model.pictures import NO_PICTURES, can_draw

if TYPE_CHECKING:
    from model.datasets.prepared import Dataset
    from model.evaluation.freshness_report import Freshness, Gain, Row
    from model.evaluation.measures import Interval

LIVE_OUT = Path(".recloop/live")
_MODELS = Path(".recloop/models")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The options of the command.

    Attributes:
        dataset: a prepared data set.
        bundles: the bundle's folder; none takes the one of the data set's name.
        top: items that are served.
        per_user: limit of one user's targets; None is a fair one.
        trends: whether there is a run with trends too.
        out: the folder of the report.
        settings_file: settings of the job.
        overrides: single settings of the job.
    """

    dataset: Dataset
    bundles: tuple[Path, ...]
    top: int
    per_user: int | None
    trends: bool
    out: Path
    settings_file: Path | None
    overrides: tuple[str, ...]


def evaluate_through_job(asked: Asked, *, as_json: bool) -> None:
    """Measure what freshness is worth, and print and write the report."""
    if len(asked.bundles) > 1:
        msg = "--live measures one bundle at a time: give --bundle once"
        raise typer.BadParameter(msg)
    bundle = Bundle.load(asked.bundles[0] if asked.bundles else _bundle_of(asked.dataset))
    try_bundle(bundle)
    from job.freshness.evaluation import PICTURE, REPORT, Order, actions_of, evaluate_live

    settings = load(
        asked.settings_file,
        [*asked.overrides, f"scoring.bundle={json.dumps(str(bundle.path))}"],
        defaults={"lists": {"length": asked.top}, "actions": actions_of(asked.dataset)},
    )
    order = Order(
        dataset=asked.dataset,
        bundle=bundle,
        settings=settings,
        out=asked.out,
        trends=asked.trends,
        top=asked.top,
        per_user=asked.per_user,
    )
    with terminated_as_interrupted(), console.status("starting") as spinner:
        report = evaluate_live(order, spinner.update)
    made = [REPORT, PICTURE] if can_draw() else [REPORT]
    print_json(asdict(report)) if as_json else _print(report)
    console.print(f"{asked.out} has {' and '.join(made)}.", highlight=False)
    if not can_draw():
        console.print(NO_PICTURES)


def _bundle_of(dataset: Dataset) -> Path:
    """Return the folder in which `recloop train` puts the bundle of a data set."""
    return _MODELS / checked_name(dataset.info.name, "a model")


def _print(report: Freshness) -> None:
    screen = Screen()
    for trends, name in ((False, "trends off"), (True, "trends on")):
        rows = [row for row in report.rows if row.trends is trends]
        if rows:
            screen.print(_measures(rows, report, name))
            screen.print(_gains([gain for gain in report.gains if gain.trends is trends], name))
    if of_trends := [gain for gain in report.gains if gain.trends is None]:
        screen.print(_gains(of_trends, "trends on less trends off"))
    for remark in _remarks(report):
        screen.print(remark, highlight=False)
    screen.print(report.protocol, style="dim")


def _measures(rows: Sequence[Row], report: Freshness, name: str) -> Table:
    top = report.top
    title = f"{report.dataset}, {name}: {report.targets:,} targets of {report.users:,} users"
    table = Table("list of each", title=title, title_justify="left")
    for column in (f"HR@{top}", "NDCG", "coverage", "churn", "no list", f"filtered HR@{top}", "NDCG"):
        table.add_column(column, justify="right")
    by_rule: dict[str, dict[str, Row]] = {}
    for row in rows:
        by_rule.setdefault(row.refreshed, {})[row.serving] = row
    for rule, of_rule in by_rule.items():
        stored, filtered = of_rule["stored"], of_rule["filtered"]
        figures = (stored.hr, stored.ndcg, stored.coverage, stored.churn, stored.without_list)
        table.add_row(rule, *map(figure, (*figures, filtered.hr, filtered.ndcg)))
    return table


def _gains(gains: Sequence[Gain], name: str) -> Table:
    table = Table("", "HR", "filtered HR", title=f"{name}: paired differences, 95 % intervals", title_justify="left")
    by_pair: dict[str, dict[str, Gain]] = {}
    for gain in gains:
        pair = gain.first if gain.trends is None else f"{gain.first} less {gain.second}"
        by_pair.setdefault(pair, {})[gain.serving] = gain
    for pair, of_pair in by_pair.items():
        table.add_row(pair, *(_interval(of_pair[serving].hr) for serving in ("stored", "filtered")))
    return table


def _interval(found: Interval) -> str:
    return f"{found.difference:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"


def _remarks(report: Freshness) -> list[str]:
    """Return the counts that a reader of the tables has to know."""
    remarks = [
        f"{report.visits:,} visits; {report.simultaneous:,} targets share their moment with another behaviour of their "
        f"user, and {report.outside:,} are of items that the bundle does not know."
    ]
    remarks += [
        f"{name}: {count:,} lists were made without scores." for name, count in report.fallbacks.items() if count
    ]
    if report.left_out:
        remarks.append(f"{report.left_out:,} targets of very active users were left out: see --targets-per-user.")
    return remarks
