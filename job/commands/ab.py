"""`recloop ab`: what an A/B test of variants tells so far."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from job.ab_report import AbReport, AbReportError, Question, VariantResult, read_report
from job.ab_statistics import Estimate
from job.commands.options import DEFAULT_CLUSTER, AsJson, ClusterDirectory
from job.commands.output import print_json, stop_on
from job.commands.sql import DEFAULT_TABLES_DIR, console
from job.deploy import REMOTE_DEPLOYMENTS, deployed_settings
from job.settings import SettingsError
from job.tables.errors import TablesError
from model.actions import DEFAULT_ACTIONS, history_actions

_MISMATCH = 0.001
_FEW_USERS = 30

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode="rich", help="A/B tests: models.variants deals users over several models."
)


@app.callback()
def group() -> None:
    """A/B tests: models.variants deals users over several models."""


@app.command()
def report(
    tables_dir: Annotated[Path, typer.Option(help="The job's output folder.")] = DEFAULT_TABLES_DIR,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="Only lists made since then: 2026-01-31T12:00Z.")
    ] = None,
    baseline: Annotated[str | None, typer.Option(help="Compare with this variant; the first by name.")] = None,
    top: Annotated[int, typer.Option(min=1, help="A hit is among so many first items.")] = 10,
    action: Annotated[
        list[str] | None, typer.Option(help="Behaviours that count; repeatable. By default those of a history.")
    ] = None,
    directory: ClusterDirectory = DEFAULT_CLUSTER,
    job_name: Annotated[str, typer.Option(help="The job, of whose deployment the weights are taken.")] = "recloop",
    as_json: AsJson = False,
) -> None:
    """Compare variants: how often the next item a user took was in the list the user had.

    [bold]How to read it.[/bold] HR@10 is hits a behaviour: of all positive behaviours that came after a list, in how
    many was the item among that list's first 10. The interval is the range in which the true rate lies in 95 of 100
    such tests; users are its unit, since behaviours of one user resemble each other. Of the [italic]difference[/italic]
    its interval is what counts: as long as it holds 0, these data do not tell which variant is better, whatever the
    two rates look like. Decide beforehand how long a test runs: whoever looks every day and stops at the first interval
    without 0 is misled far more often than once in 20 times, and so is whoever tests many variants at once.

    [bold]Whether to trust it.[/bold] Users have to be dealt as the weights say. If that is less likely than 1 in 1,000
    (sample ratio mismatch), something else decides who is counted: find that first. Users who had lists of
    several variants, since weights or the salt changed, count in each: give --since a time after the change.

    Lists leave out what a user has seen (lists.exclude_seen), so an item taken again is a miss in every variant.

    Examples:
      recloop ab report

      recloop ab report --since 2026-01-31T12:00Z --baseline old --json
    """
    with stop_on(AbReportError, SettingsError, TablesError):
        question = Question(
            actions=action or history_actions(DEFAULT_ACTIONS),
            top=top,
            since=_time(since),
            baseline=baseline,
            weights=_weights(directory, job_name),
        )
        told = read_report(_folder(tables_dir), question)
    if as_json:
        print_json({"top": top, "since": since, "actions": sorted(question.actions), **_json(told)})
        return
    console().print(_table(told, top))
    for line in _remarks(told):
        typer.echo(line)


def _time(text: str | None) -> datetime | None:
    try:
        time = None if text is None else datetime.fromisoformat(text)
    except ValueError:
        time = datetime.min
    if time is not None and time.tzinfo is None:
        msg = f"{text!r} is no time with its zone, as 2026-01-31T12:00Z"
        raise typer.BadParameter(msg, param_hint="--since")
    return time


def _folder(tables: Path) -> Path:
    if not tables.is_dir():
        msg = f"{tables} is no folder: give --tables-dir, or run a job that writes it"
        raise AbReportError(msg)
    return tables


def _weights(directory: Path, job_name: str) -> dict[str, float] | None:
    settings = deployed_settings(directory / "deployments", job_name) or deployed_settings(REMOTE_DEPLOYMENTS, job_name)
    return None if settings is None else {name: each.weight for name, each in settings.models.variants.items()}


def _json(told: AbReport) -> dict[str, Any]:
    return {
        "variants": [_variant_json(each) for each in told.variants],
        "moved_users": told.moved,
        "sample_ratio_p": told.mismatch,
    }


def _variant_json(each: VariantResult) -> dict[str, Any]:
    difference = each.difference
    return {
        "variant": each.name,
        "users_dealt": each.dealt,
        "users": each.sums.users,
        "behaviors": each.sums.n,
        "hits": each.sums.h,
        "hit_rate": each.hit_rate.value,
        "interval": each.hit_rate.interval,
        "difference": None if difference is None else difference.value,
        "difference_interval": None if difference is None else difference.interval,
    }


def _table(told: AbReport, top: int) -> Table:
    first = told.variants[0].name
    table = Table("variant", title=f"the next behaviour's item among the list's first {top}", title_justify="left")
    rates = (f"HR@{top}", "95 % interval", f"less {first}'s", "95 % interval")
    for title in ("users", "of them acted", "behaviours", *rates):
        table.add_column(title, justify="right")
    for each in told.variants:
        table.add_row(
            Text(each.name),
            f"{each.dealt:,}",
            f"{each.sums.users:,}",
            f"{each.sums.n:,}",
            f"{each.hit_rate.value:.4f}",
            _interval(each.hit_rate),
            "" if each.difference is None else f"{each.difference.value:+.4f}",
            "" if each.difference is None else _interval(each.difference),
        )
    return table


def _interval(estimate: Estimate) -> str:
    return "-" if estimate.interval is None else "{:.4f} to {:.4f}".format(*estimate.interval)


def _remarks(told: AbReport) -> list[str]:
    """What a reader has to know before believing the table."""
    first, *others = told.variants
    remarks = [_verdict(each, first.name) for each in others]
    if any(each.sums.users < _FEW_USERS for each in told.variants):
        remarks.append(f"A variant has fewer than {_FEW_USERS} users who acted: its interval is too narrow.")
    if told.moved:
        remarks.append(f"{told.moved:,} users had lists of several variants and count in each: see --since.")
    if told.mismatch is not None and told.mismatch < _MISMATCH:
        remarks.append(
            f"Users are not dealt as the weights say (p = {told.mismatch:.1g}): find out why before believing the rest."
        )
    return remarks


def _verdict(each: VariantResult, first: str) -> str:
    interval = None if each.difference is None else each.difference.interval
    if interval is None:
        return f"{each.name} and {first}: too few users to compare."
    if interval[0] <= 0 <= interval[1]:
        return f"{each.name} and {first}: the difference's interval holds 0, so these data do not tell which is better."
    return f"{each.name} is {'better' if interval[0] > 0 else 'worse'} than {first}, as far as this test tells."
