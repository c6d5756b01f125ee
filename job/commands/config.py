"""`recloop config show|check|diff|table`: the settings of a job, before it is deployed."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from job.cluster import FlinkRest
from job.commands.comparison_output import print_comparison, value_text
from job.commands.options import (
    DEFAULT_CLUSTER,
    AsJson,
    ClusterDirectory,
    JobManagerUrl,
    Overrides,
    SettingsFile,
    running_cluster,
    stop_on_errors,
)
from job.commands.output import Screen, print_json, print_line
from job.deployment.deploy import REMOTE_DEPLOYMENTS, compare_with_running
from job.settings.effective import EffectiveSetting, effective
from job.settings.given import Origin
from job.settings.job_settings import load
from job.settings.settings_table import settings_table

app = typer.Typer(
    help="The settings that `deploy` would use: shown with their sources, checked, compared with the job that runs.",
    no_args_is_help=True,
)
_File = Annotated[Path, typer.Argument(metavar="FILE", help="A TOML file, one table a group: [lists] length = 20.")]


@app.command()
def show(
    settings_file: SettingsFile = None,
    overrides: Overrides = None,
    given: Annotated[bool, typer.Option("--given", help="Leave out those that have their default.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print all settings as the job would get them, each with the source of its value.

    The sources, the last of which wins: default, file, environment, option. A derived value comes from another setting,
    and preset=replayable fixes some. There is nothing to mask: passwords are given by their place, file:PATH or
    env:NAME.

    Examples:
      recloop config show --settings mine.toml --set lists.length=20 --given
    """
    with stop_on_errors():
        found = effective(settings_file, overrides or ())
    shown = [each for each in found if not given or each.origin is not Origin.DEFAULT]
    if as_json:
        print_json({each.name: {"value": each.value, "from": each.origin.value} for each in shown})
        return
    table = Table("setting", "value", "from")
    for each in shown:
        table.add_row(each.name, value_text(each.value), each.origin.value)
    Screen().print(table)


@app.command()
def check(file: _File, overrides: Overrides = None) -> None:
    """Check a file of settings as `deploy` would; exit with 1 and a line for each wrong one.

    Beside the file the RECLOOP_ variables and --set count, as in a deployment. The cluster, the log and the bundle are
    checked by `recloop deploy`, before it changes anything.

    Examples:
      recloop config check mine.toml
    """
    with stop_on_errors():
        found = effective(file, overrides or ())
    print_line(f"{file}: all settings are known and possible ({_counts(found)})")


@app.command()
def diff(
    file: _File,
    overrides: Overrides = None,
    job: Annotated[str | None, typer.Option(metavar="NAME", help="The job that runs; the file's job_name.")] = None,
    directory: ClusterDirectory = DEFAULT_CLUSTER,
    jobmanager: JobManagerUrl = None,
    as_json: AsJson = False,
) -> None:
    """Compare a file of settings, and the code here, with the job that runs; nothing is changed.

    What the job's state does not fit is marked: such a change needs `recloop deploy --fresh`. `recloop deploy` prints
    the same before it stops the job.

    Examples:
      recloop config diff mine.toml
    """
    with stop_on_errors():
        settings = load(file, [*(overrides or ()), *([f"job_name={json.dumps(job)}"] if job is not None else [])])
        url = jobmanager or running_cluster(directory).rest_url
        deployments = REMOTE_DEPLOYMENTS if jobmanager else directory / "deployments"
        with FlinkRest(url) as rest:
            comparison = compare_with_running(rest, deployments, settings)
    if as_json:
        print_line(json.dumps({**asdict(comparison), "needs_fresh": comparison.needs_fresh}))
        return
    print_comparison(comparison, Screen())
    if names := ", ".join(comparison.needs_fresh):
        print_line(f"The job's state does not fit {names}: recloop deploy refuses that, except with --fresh.")


@app.command()
def table() -> None:
    """Print each setting with its default, bounds and meaning, as a Markdown table."""
    print_line(settings_table())


def _counts(found: list[EffectiveSetting]) -> str:
    counts = {origin: sum(each.origin is origin for each in found) for origin in Origin}
    return ", ".join(f"{count} from {origin.value}" for origin, count in counts.items() if count)
