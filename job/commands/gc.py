"""`recloop gc`: what the job left behind and nothing needs."""

import json
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.table import Table

from job.commands.deploying import CheckpointsFolder, JobName, Place
from job.commands.options import (
    DEFAULT_CLUSTER,
    AsJson,
    ClusterDirectory,
    JobManagerUrl,
    Overrides,
    console,
    stop_on_errors,
)
from job.commands.output import Screen, print_line
from job.deployment.deploy import DeployError, deployed_settings
from job.housekeeping.collect import garbage
from job.housekeeping.garbage import Garbage
from job.settings.job_settings import JobSettings, load
from model.errors import RecloopError


def gc(
    overrides: Overrides = None,
    yes: Annotated[bool, typer.Option("--yes", help="Remove what is listed.")] = False,
    job_name: JobName = "recloop",
    directory: ClusterDirectory = DEFAULT_CLUSTER,
    jobmanager: JobManagerUrl = None,
    checkpoints: CheckpointsFolder = None,
    as_json: AsJson = False,
) -> None:
    """List what the job left behind and nothing needs, with size and reason; --yes removes it.

    That is: checkpoints and savepoints of replaced jobs, code and settings of old deployments, in-progress files of
    killed attempts, versions in the registry that no pointer or deployment names, and cached bundles. The settings
    retention.* say what is kept though nothing needs it, --set changes them for this call. State goes only while the
    job runs and has completed a checkpoint; savepoints that somebody took stay: recloop savepoint remove.

    Examples:
      recloop gc

      recloop gc --set retention.savepoints=1 --yes
    """
    with stop_on_errors(), console.status("looking for what nothing needs") as spinner:
        target = Place.of(directory, jobmanager, checkpoints).target
        with target.rest() as rest:
            deployed = deployed_settings(target.folder, job_name)
            if deployed is None:
                msg = f"no deployment of {job_name} is recorded in {target.folder}: deploy first, or give --job-name"
                raise DeployError(msg)
            found = list(garbage(target, rest, _with(deployed, overrides or ())))
            spinner.update("removing")
            problems = [problem for each in found if yes and (problem := _removed(each)) is not None]
    _print(found, removed=yes, as_json=as_json)
    for problem in problems:
        print_line(f"Error: {problem}", err=True)
    if problems:
        raise typer.Exit(1)


def _with(deployed: JobSettings, overrides: Sequence[str]) -> JobSettings:
    """Return the settings that the job runs with, and what --set changes of them."""
    return load(None, overrides, defaults=deployed.model_dump(mode="json")).resolved()


def _removed(each: Garbage) -> str | None:
    """Remove one thing; return why that failed, or None."""
    try:
        each.remove()
    except (RecloopError, OSError) as error:
        return f"{each.place} stays: {error}"
    return None


def _print(found: Sequence[Garbage], *, removed: bool, as_json: bool) -> None:
    if as_json:
        names = ("kind", "place", "size_bytes", "reason")
        rows = [{name: getattr(each, name) for name in names} for each in found]
        print_line(json.dumps({"removed": removed, "garbage": rows}))
        return
    if not found:
        print_line("there is nothing that nothing needs")
        return
    table = Table("what", "place", "MB", "why it may go")
    for each in found:
        size = "?" if each.size_bytes is None else f"{each.size_bytes / 1e6:,.1f}"
        table.add_row(each.kind.value, each.place, size, each.reason)
    Screen().print(table)
    total = sum(each.size_bytes or 0 for each in found) / 1e6
    end = "removed" if removed else "nothing was removed: recloop gc --yes does"
    print_line(f"{len(found):,} things, {total:,.1f} MB; {end}")
