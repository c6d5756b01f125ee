"""`recloop savepoint take|list|remove`: the savepoints of a job."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.table import Table

from job.commands.deploying import CheckpointsFolder, JobName, Place
from job.commands.options import (
    DEFAULT_CLUSTER,
    LONGEST_S,
    AsJson,
    ClusterDirectory,
    JobManagerUrl,
    console,
    stop_on_errors,
)
from job.commands.output import Screen, print_line
from job.deployment.savepoints import Savepoint, Savepoints

app = typer.Typer(
    help="The savepoints of a job: those that deployments left, and those taken while it runs.", no_args_is_help=True
)


@app.command()
def take(
    job_name: JobName = "recloop",
    directory: ClusterDirectory = DEFAULT_CLUSTER,
    jobmanager: JobManagerUrl = None,
    checkpoints: CheckpointsFolder = None,
    timeout_s: Annotated[float, typer.Option("--timeout", min=1, max=LONGEST_S, help="Seconds it may take.")] = 600,
    as_json: AsJson = False,
) -> None:
    """Take a savepoint of the job that runs; it runs on.

    Examples:
      recloop savepoint take
    """
    with stop_on_errors(), console.status("taking a savepoint"):
        target = Place.of(directory, jobmanager, checkpoints).target
        with target.rest() as rest:
            taken = Savepoints(target, rest, job_name).take(timeout_s=timeout_s)
    if as_json:
        print_line(json.dumps(asdict(taken)))
        return
    print_line(taken.uri)
    console.print(f"To go on from it: recloop deploy --from {taken.uri}", soft_wrap=True)


@app.command("list")
def list_command(
    job_name: JobName = "recloop",
    directory: ClusterDirectory = DEFAULT_CLUSTER,
    jobmanager: JobManagerUrl = None,
    checkpoints: CheckpointsFolder = None,
    as_json: AsJson = False,
) -> None:
    """List the job's savepoints, the oldest first, and what needs each.

    Examples:
      recloop savepoint list
    """
    with stop_on_errors(), console.status("looking for savepoints"):
        target = Place.of(directory, jobmanager, checkpoints).target
        with target.rest() as rest:
            found = Savepoints(target, rest, job_name).all()
    if as_json:
        print_line(json.dumps([asdict(each) for each in found]))
        return
    if not found:
        print_line(f"the job {job_name} has no savepoints: recloop savepoint take")
        return
    table = Table("savepoint", "deployment", "made", "size", "needed")
    for each in found:
        table.add_row(each.uri, *_cells(each))
    Screen().print(table)


@app.command()
def remove(
    uri: Annotated[str, typer.Argument(help="The savepoint, as `recloop savepoint list` shows it.")],
    job_name: JobName = "recloop",
    directory: ClusterDirectory = DEFAULT_CLUSTER,
    jobmanager: JobManagerUrl = None,
    checkpoints: CheckpointsFolder = None,
) -> None:
    """Have Flink remove a savepoint that nothing needs, with all its files, wherever they are.

    Examples:
      recloop savepoint remove .recloop/cluster/savepoints/savepoint-1a2b3c-4d5e6f
    """
    with stop_on_errors(), console.status("removing a savepoint"):
        target = Place.of(directory, jobmanager, checkpoints).target
        with target.rest() as rest:
            removed = Savepoints(target, rest, job_name).remove(uri)
    print_line(f"removed {removed.uri} ({_size(removed)})")


def _cells(each: Savepoint) -> tuple[str, ...]:
    fate = "stopped with it" if each.is_last else "ran on"
    made_by = "-" if each.deployment is None else f"{each.deployment}, {fate}"
    made = datetime.fromtimestamp(each.at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return made_by, made, _size(each), each.needed_for or "no"


def _size(each: Savepoint) -> str:
    return "not seen from here" if each.size_bytes is None else f"{each.size_bytes / 1e6:,.1f} MB"
