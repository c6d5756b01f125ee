"""`recloop ope`: off-policy evaluation, what other lists would have got."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from job.commands.options import DEFAULT_CLUSTER, AsJson, ClusterDirectory, stop_on_errors
from job.commands.output import Screen, figure, print_json, print_line
from job.commands.tables_output import DEFAULT_TABLES_DIR
from job.deployment.deploy import REMOTE_DEPLOYMENTS, deployed_settings
from job.off_policy import PolicyValue, of_lists, of_open_bandit
from job.topology.rules import action_table
from model.actions import DEFAULT_ACTIONS
from model.evaluation.off_policy import Estimate

app = typer.Typer(no_args_is_help=True, rich_markup_mode="rich", help="Off-policy evaluation of explored lists.")
_CACHE = Path(".recloop/cache")


@app.callback()
def group() -> None:
    """Estimate what other lists would have got, from lists with places that chance filled."""


@app.command()
def lists(
    tables_dir: Annotated[Path, typer.Option(help="The job's output folder.")] = DEFAULT_TABLES_DIR,
    directory: ClusterDirectory = DEFAULT_CLUSTER,
    as_json: AsJson = False,
) -> None:
    """Estimate what a job's lists would have got without exploring; needs lists.explore_share above 0.

    A reward is 1 where a place of the list that a user had holds the item of the user's next behaviour.
    """
    with stop_on_errors():
        settings = deployed_settings(directory / "deployments", "recloop")
        settings = settings or deployed_settings(REMOTE_DEPLOYMENTS, "recloop")
        values = of_lists(tables_dir, DEFAULT_ACTIONS if settings is None else action_table(settings))
    _show(values, as_json=as_json)


@app.command("open-bandit")
def open_bandit(
    cache: Annotated[Path, typer.Option(help="Folder in which the data are kept.")] = _CACHE, as_json: AsJson = False
) -> None:
    """Try the estimates on the Open Bandit data, which are fetched from PyPI: two policies, whose values are known."""
    with stop_on_errors():
        values = of_open_bandit(cache)
    _show(values, as_json=as_json)


def _show(values: list[PolicyValue], *, as_json: bool) -> None:
    if as_json:
        print_json({"policies": [asdict(value) for value in values]})
        return
    table = Table("log", "policy", "known", "IPS", "self-normalised", "doubly robust", "effective")
    for value in values:
        found = value.estimates
        known = "-" if value.known is None else figure(value.known, 5)
        cells = (_interval(each) for each in (found.ips, found.self_normalised, found.doubly_robust))
        table.add_row(value.log, value.policy, known, *cells, f"{found.effective:,.0f}")
    Screen().print(table)
    print_line("Mean rewards of a place with 95 % intervals; effective is the number of rewards that tell as much.")


def _interval(found: Estimate) -> str:
    return f"{figure(found.value, 5)} [{figure(found.low, 5)}, {figure(found.high, 5)}]"
