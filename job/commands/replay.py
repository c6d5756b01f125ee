"""`recloop replay`: a data set into the embedded log, at a pace."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from job.commands.options import AsJson, console, fail, told_errors
from job.replay import Pace, Replayed
from job.replay import replay as replay_dataset
from model.datasets.prepared import Dataset

DATA = Path(".recloop/data")


def replay(
    dataset: Annotated[str, typer.Argument(help="A prepared data set: its name or folder.")],
    speed: Annotated[
        str | None, typer.Option(metavar="FACTORx", help="Event time runs so many times faster, as 1000x.")
    ] = None,
    rate: Annotated[float | None, typer.Option(min=0.001, help="Behaviours a second.")] = None,
    log: Annotated[Path, typer.Option(help="The log's folder; made if it is not there.")] = Path(".recloop/log"),
    partitions: Annotated[int | None, typer.Option(min=1, help="Of a log that is not there yet; 4.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many.")] = None,
    as_json: AsJson = False,
) -> None:
    """Append a data set's behaviours to the log, in time order; Ctrl-C stops, the same command goes on.

    Without --speed or --rate as fast as the disk takes them.
    """
    with told_errors():
        source = open_dataset(dataset)
        pace = _pace(speed, rate)
        total = min(source.info.behaviors, limit or source.info.behaviors)
        with _bar() as bar:
            task = bar.add_task(source.info.name, total=total)
            try:
                done = replay_dataset(
                    source,
                    log,
                    partitions=partitions,
                    pace=pace,
                    limit=limit,
                    on_progress=lambda count: bar.update(task, completed=count),
                )
            except KeyboardInterrupt:
                bar.stop()
                console.print("Stopped. The same command goes on from here.")
                raise typer.Exit(130) from None
    if as_json:
        typer.echo(json.dumps(asdict(done)))
    else:
        _show(done, log)


def open_dataset(name: str) -> Dataset:
    """A prepared data set by its name under .recloop/data, or by its folder.

    Raises:
        NotPreparedError: there is none.
    """
    named = DATA / name
    return Dataset.open(named if named.is_dir() else Path(name))


def _pace(speed: str | None, rate: float | None) -> Pace:
    if speed is not None and rate is not None:
        fail("--speed or --rate, not both")
    if speed is None:
        return Pace(rate=rate)
    try:
        factor = float(speed.removesuffix("x"))
    except ValueError:
        factor = 0.0
    if factor <= 0:
        fail(f"--speed takes a factor above 0, as 1000x, not {speed!r}")
    return Pace(speed=factor)


def _bar() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console)


def _show(done: Replayed, log: Path) -> None:
    if not done.appended:
        console.print(f"All {done.before:,} behaviours were in {log} already.")
        return
    earlier = f", {done.before:,} were there" if done.before else ""
    console.print(f"Appended {done.appended:,} behaviours to {log} in {done.seconds:.1f} s{earlier}.")
