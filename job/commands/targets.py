"""The places that `recloop deploy` deploys to, and their options."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import typer

from job.cluster import ClusterSpec
from job.commands.deploying import Place
from job.commands.options import parse_settings
from job.deployment.deploy import DeployError


class TargetName(StrEnum):
    """The kind of place a job is deployed to."""

    LOCAL = "local"
    SESSION = "session"
    APPLICATION = "application"


TargetOption = Annotated[
    TargetName | None,
    typer.Option(
        "--target",
        help="local: the cluster of `recloop cluster start`. session: the one at --jobmanager. application: a cluster "
        "on this machine for this job alone, started with it. If not given, what runs in --dir, or is at --jobmanager.",
    ),
]
FlinkSettings = Annotated[
    list[str] | None,
    typer.Option("--flink", metavar="KEY=VALUE", help="A Flink setting of an application; repeatable."),
]
Jars = Annotated[list[Path] | None, typer.Option("--jar", help="A connector's jar for an application; repeatable.")]
Ha = Annotated[
    Literal["zookeeper"] | None,
    typer.Option(help="A second JobManager of an application, which takes over when the first dies, and a ZooKeeper."),
]


def check_options(
    target: TargetName | None,
    jobmanager: str | None,
    checkpoints: Path | None,
    own: Mapping[tuple[TargetName, str], object],
) -> None:
    """Refuse options that do not belong to a target.

    Args:
        target: the target.
        jobmanager: the address of a cluster elsewhere.
        checkpoints: the folder of that cluster's checkpoints.
        own: the options that belong to one target, by that and their names.

    Raises:
        typer.BadParameter: they do not go together.
    """
    if target is TargetName.SESSION and jobmanager is None:
        msg = "--target session needs the cluster's address: --jobmanager URL"
        raise typer.BadParameter(msg)
    if target not in {None, TargetName.SESSION} and jobmanager is not None:
        msg = f"--jobmanager names a session cluster, and --target is {target}: give one of them"
        raise typer.BadParameter(msg)
    if target not in {None, TargetName.SESSION} and checkpoints is not None:
        msg = f"--checkpoints is the folder of a cluster at --jobmanager, and --target is {target}: give one of them"
        raise typer.BadParameter(msg)
    if given := [name for (of, name), value in own.items() if value and of is not target]:
        msg = f"{given[0]} is for another target: recloop deploy --help says which"
        raise typer.BadParameter(msg)


def running(target: TargetName | None, directory: Path, jobmanager: str | None, checkpoints: Path | None) -> Place:
    """Return the cluster that runs in a folder, or the one elsewhere.

    Raises:
        RecloopError: none runs in the folder, or an application does and the target is another one.
    """
    place = Place.of(directory, jobmanager, checkpoints)
    if target is TargetName.LOCAL and place.target.application is not None:
        msg = f"an application runs in {directory}: --target application replaces it, or give another --dir"
        raise DeployError(msg)
    return place


def application(directory: Path, flink: list[str] | None, jars: list[Path] | None, ha: str | None) -> Place:
    """Return the cluster that a deployment starts for its job alone.

    Raises:
        RecloopError: it cannot be as its options say, or a session cluster runs in the folder.
    """
    settings = parse_settings(flink or [], "--flink")
    spec = ClusterSpec(directory, extra_config=settings, jars=tuple(jars or ()), high_availability=ha is not None)
    return Place.of_application(spec)
