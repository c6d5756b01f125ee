"""Options that several commands share, and their exit on errors."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from job.cluster import DEFAULT_DIRECTORY, NotRunningError, RunningCluster, find
from job.commands.output import Screen, stop_on
from model.errors import RecloopError

console = Screen(stderr=True)

SettingsFile = Annotated[
    Path | None, typer.Option("--settings", "-s", help="A TOML file, one table a group: [lists] length = 20.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="GROUP.NAME=VALUE", help="One setting, above the file; repeatable."),
]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
ClusterDirectory = Annotated[Path, typer.Option("--dir", help="The cluster's state folder.")]
DEFAULT_CLUSTER = DEFAULT_DIRECTORY


def fail(message: object) -> NoReturn:
    """Print a message in red, and exit with 1."""
    console.print(str(message), style="red")
    raise typer.Exit(1)


def told_errors() -> AbstractContextManager[None]:
    """Turn errors that a user can act on into one message; others keep their trace."""
    return stop_on(RecloopError)


def running_cluster(directory: Path) -> RunningCluster:
    """Return the cluster of the state folder.

    Raises:
        NotRunningError: there is none.
    """
    if (cluster := find(directory)) is None:
        msg = f"no cluster runs in {directory}: recloop cluster start"
        raise NotRunningError(msg)
    return cluster
