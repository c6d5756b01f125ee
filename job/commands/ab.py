"""`recloop ab`: the results of an A/B test of variants so far."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import TypeAdapter, ValidationError
from rich.table import Table

from job.ab_report import AbReport, AbReportError, Question, Verdict, read_report
from job.ab_statistics import Estimate
from job.commands.options import DEFAULT_CLUSTER, AsJson, ClusterDirectory, stop_on_errors
from job.commands.output import Screen, figure, print_json, print_line
from job.commands.tables_output import DEFAULT_TABLES_DIR
from job.deployment.deploy import REMOTE_DEPLOYMENTS, deployed_settings
from job.settings.values import LONGEST_LIST, JobName
from job.topology.rules import action_table
from model.actions import DEFAULT_ACTIONS, history_actions

_FEW_USERS = 30
_CONCLUSIONS = {
    Verdict.BETTER: "{name} is better, as far as this test tells.",
    Verdict.WORSE: "{name} is worse, as far as this test tells.",
    Verdict.UNDECIDED: "the difference's interval holds 0, so these data do not tell which is better.",
    Verdict.TOO_FEW: "too few users to compare.",
    Verdict.DEALT_ANEW: "not compared, since users changed between variants.",
    Verdict.MISMATCH: "not compared. Users are not dealt as the weights say: find out why first.",
}

_READING = """
[bold]How to read it.[/bold] A user's HR@10 is the share of hits: of all positive behaviours that came after a list,
those whose item was among that list's first 10. A variant's is the mean over its users, each counted once, so that
no crawler decides a test. For the [italic]difference[/italic] the interval is what counts: as long as it holds 0,
these data do not show which variant is better, whatever the two rates are.

[bold]Run it as often as you like.[/bold] If variants do not differ, the interval excludes 0 in at most 5 of 100
tests, over all runs of this command together; the same holds for several variants together. That takes about twice
the users. If you fix beforehand when the test ends, and run this only then, you may add --once; repeated runs with
--once mislead far more often than that.

[bold]When to trust it.[/bold] Users have to be dealt in the ratio of the weights. If the actual numbers are less
likely than 1 in 1,000 (sample ratio mismatch), something else decides who is counted, and nothing is compared: find
that first. Nothing is compared either if users had lists of several variants because weights, salt or variants
changed: give --since the time that is named.

Lists leave out what a user has seen (lists.exclude_seen), so an item taken again is a miss in every variant.

Examples:

recloop ab report

recloop ab report --since 2026-01-31T12:00Z --baseline old --json
"""
app = typer.Typer(
    no_args_is_help=True, rich_markup_mode="rich", help="A/B tests: models.variants deals users over several models."
)


@app.callback()
def group() -> None:
    """Compare the variants of an A/B test, over which models.variants deals users."""


@app.command(epilog=_READING)
def report(
    tables_dir: Annotated[Path, typer.Option(help="The job's output folder.")] = DEFAULT_TABLES_DIR,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="Only lists made since then: 2026-01-31T12:00Z.")
    ] = None,
    baseline: Annotated[str | None, typer.Option(help="Compare with this variant; the first by name.")] = None,
    top: Annotated[int, typer.Option(min=1, max=LONGEST_LIST, help="A hit is among so many first items.")] = 10,
    action: Annotated[
        list[str] | None, typer.Option(help="Behaviours that count; repeatable. By default those of a history.")
    ] = None,
    directory: ClusterDirectory = DEFAULT_CLUSTER,
    once: Annotated[
        bool, typer.Option("--once", help="This is the only look, at a time fixed beforehand: narrower intervals.")
    ] = False,
    job_name: Annotated[str, typer.Option(help="The job, of whose deployment actions and weights are.")] = "recloop",
    as_json: AsJson = False,
) -> None:
    """Compare variants by how often the next item that a user took was in the user's list."""
    since_time, name = _time(since), _job_name(job_name)
    with stop_on_errors():
        deployed = deployed_settings(directory / "deployments", name) or deployed_settings(REMOTE_DEPLOYMENTS, name)
        table = DEFAULT_ACTIONS if deployed is None else action_table(deployed)
        question = Question(
            actions=action or history_actions(table),
            known=table,
            top=top,
            since=since_time,
            baseline=baseline,
            weights=None if deployed is None else {key: v.weight for key, v in deployed.models.variants.items()},
            once=once,
        )
        if not tables_dir.is_dir():
            msg = f"{tables_dir} is no folder: give --tables-dir, or run a job that writes it"
            raise AbReportError(msg)
        result = read_report(tables_dir, question)
    if as_json:
        print_json({"top": top, "since": since, "actions": sorted(question.actions), "once": once, **_json(result)})
        return
    Screen().print(_table(result, top))
    for remark in _remarks(result):
        print_line(remark)
    builtin = " (the built-in ones, since no deployment of that job is known here: see --dir)"
    reading = "for this one look" if once else "however often one looks"
    print_line(
        f"Counted are {', '.join(sorted(question.actions))}{builtin if deployed is None and not action else ''}; "
        f"intervals are right {reading}."
    )


def _time(text: str | None) -> datetime | None:
    try:
        time = None if text is None else datetime.fromisoformat(text)
    except ValueError:
        time = datetime.min
    if time is not None and time.tzinfo is None:
        msg = f"{text!r} is no time with its zone, as 2026-01-31T12:00Z"
        raise typer.BadParameter(msg, param_hint="'--since'")
    return time


def _job_name(text: str) -> str:
    try:
        return TypeAdapter(JobName).validate_python(text)
    except ValidationError as error:
        msg = f"{text!r} cannot be a job's name: give the name that it was deployed with"
        raise typer.BadParameter(msg, param_hint="'--job-name'") from error


def _json(result: AbReport) -> dict[str, Any]:
    variants = [
        {
            "variant": each.name,
            "users_dealt": each.dealt,
            "users": each.trials.users,
            "behaviors": each.trials.behaviors,
            "hits": each.trials.hits,
            "hit_rate": each.hit_rate.value,
            "interval": each.hit_rate.interval,
            "difference": None if each.difference is None else each.difference.value,
            "difference_interval": None if each.difference is None else each.difference.interval,
            "verdict": each.verdict,
        }
        for each in result.variants
    ]
    return {
        "variants": variants,
        "moved_users": result.moved,
        "settled_since": None if result.settled is None else result.settled.isoformat(),
        "sample_ratio_p": result.mismatch,
    }


def _table(result: AbReport, top: int) -> Table:
    first = result.variants[0].name
    table = Table("variant", title=f"the next behaviour's item among the list's first {top:,}", title_justify="left")
    rates = (f"HR@{top}", "95 % interval", f"less {first}'s", "95 % interval")
    for title in ("users", "of them acted", "behaviours", *rates):
        table.add_column(title, justify="right")
    for each in result.variants:
        table.add_row(
            each.name,
            f"{each.dealt:,}",
            f"{each.trials.users:,}",
            f"{each.trials.behaviors:,}",
            figure(each.hit_rate.value),
            _interval(each.hit_rate),
            "" if each.difference is None else figure(each.difference.value, sign="+"),
            "" if each.difference is None else _interval(each.difference),
        )
    return table


def _interval(estimate: Estimate) -> str:
    return "-" if estimate.interval is None else "{:.4f} to {:.4f}".format(*estimate.interval)


def _remarks(result: AbReport) -> list[str]:
    """Return the remarks that a reader of the table has to know."""
    first, *others = result.variants
    remarks = []
    for each in others:
        conclusion = _CONCLUSIONS[each.verdict or Verdict.TOO_FEW].format(name=each.name)
        remarks.append(f"{each.name} and {first.name}: {conclusion}")
    if not any(each.trials.users for each in result.variants):
        remarks.append("No user did a counted action after a list, so no rate was measured.")
    elif any(each.trials.users < _FEW_USERS for each in result.variants):
        remarks.append(f"A variant has fewer than {_FEW_USERS} users who acted: the interval of its rate is rough.")
    if result.settled is not None:
        remarks.append(
            f"{result.moved:,} users had lists of several variants, since weights, salt or variants changed: from "
            f"--since {result.settled:%Y-%m-%dT%H:%M:%SZ} on each has those of one."
        )
    return remarks
