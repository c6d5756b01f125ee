"""`recloop checkpoint`: what checkpoints and savepoints hold, without a running job."""

from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.table import Table as RichTable

from job.checkpoints.checkpoint import open_checkpoint
from job.checkpoints.compare import Difference, compare
from job.checkpoints.found import FoundCheckpoint, find_checkpoints
from job.checkpoints.overview import Overview, read_overview
from job.commands.options import DEFAULT_CLUSTER, AsJson, ClusterDirectory, stop_on_errors
from job.commands.output import Screen, print_line
from job.commands.state_output import headline, show_state, time_text
from job.commands.tables_output import to_json
from job.tables.titles import Titles, read_titles

app = typer.Typer(help="What checkpoints and savepoints hold, without a running job.", no_args_is_help=True)
_LISTED_USERS = 20

Where = Annotated[
    str, typer.Argument(metavar="[PATH|JOB]", help="A checkpoint, a folder of them, or a job's name or id.")
]
User = Annotated[str | None, typer.Option(help="Show this user's profile and list.")]
TitlesFrom = Annotated[Path | None, typer.Option("--bundle", help="Bundle or prepared data set to take titles from.")]


@app.command("list")
def list_checkpoints(
    where: Where = "recloop", *, directory: ClusterDirectory = DEFAULT_CLUSTER, as_json: AsJson = False
) -> None:
    """List the retained checkpoints and the savepoints, oldest first.

    Of a running job Flink keeps the newest three checkpoints; savepoints stay until somebody removes them.
    """
    with stop_on_errors():
        found = find_checkpoints(where, directory)
    if as_json:
        print_line(to_json([{**asdict(each), "path": str(each.path)} for each in found]))
        return
    grid = RichTable("number", "kind", "complete at (UTC)", "job", "path")
    for each in found:
        kind = "savepoint" if each.is_savepoint else "checkpoint"
        grid.add_row(str(each.number), kind, time_text(each.at_ms), each.job or "", str(each.path))
    Screen().print(grid)


@app.command()
def show(
    where: Where = "recloop",
    *,
    user: User = None,
    bundle: TitlesFrom = None,
    directory: ClusterDirectory = DEFAULT_CLUSTER,
    as_json: AsJson = False,
) -> None:
    """Show a checkpoint's operators, their states and sizes, its users and the log's offsets; or one user's state.

    Of a folder or a job it is the newest one. Items whose ids neither the checkpoint nor the bundle knows are shown as
    the hashes that a profile holds.
    """
    with stop_on_errors():
        titles: Titles = {} if bundle is None else read_titles(bundle)
        found = find_checkpoints(where, directory)[-1]
        with open_checkpoint(found.path) as checkpoint:
            if user is not None:
                show_state(found, checkpoint, user, titles, as_json=as_json)
                return
            overview = read_overview(checkpoint)
    if as_json:
        print_line(msgspec.json.encode({"path": str(found.path), **asdict(overview)}).decode())
    else:
        _show_overview(Screen(), found, overview)


@app.command()
def diff(
    older: Where = "recloop",
    newer: Annotated[str | None, typer.Argument(help="Another checkpoint; by default the newest of the first.")] = None,
    *,
    user: User = None,
    bundle: TitlesFrom = None,
    directory: ClusterDirectory = DEFAULT_CLUSTER,
    as_json: AsJson = False,
) -> None:
    """Show what changed from one checkpoint to another: the log's offsets, sizes, and whose state is another.

    Of one folder or job, they are its oldest and its newest.
    """
    with stop_on_errors(), ExitStack() as stack:
        titles: Titles = {} if bundle is None else read_titles(bundle)
        found = find_checkpoints(older, directory)
        pair = found[0], find_checkpoints(newer or older, directory)[-1]
        first, last = (stack.enter_context(open_checkpoint(each.path)) for each in pair)
        if user is not None:
            for each, checkpoint in zip(pair, (first, last), strict=True):
                show_state(each, checkpoint, user, titles, as_json=as_json)
            return
        difference = compare(first, last)
    if as_json:
        print_line(to_json({"older": str(pair[0].path), "newer": str(pair[1].path), **asdict(difference)}))
    else:
        _show_difference(Screen(), pair, difference)


def _show_overview(out: Screen, found: FoundCheckpoint, overview: Overview) -> None:
    out.print(f"{headline(found)}: {overview.users:,} users, {overview.lists:,} lists")
    grid = RichTable("operator", "subtasks", "state", "entries", "bytes", "stored")
    for operator in overview.operators:
        grid.add_row(operator.uid, str(operator.parallelism), "", "", "", f"{operator.stored_bytes:,}")
        for state in operator.states:
            grid.add_row("", "", state.name, f"{state.entries:,}", f"{state.bytes:,}")
    out.print(grid)
    grid = RichTable("log partition", "next offset", "newest event (UTC)", "epoch")
    for each in overview.positions:
        grid.add_row(str(each.log_partition), f"{each.next_offset:,}", time_text(each.newest_ms), str(each.epoch))
    out.print(grid)


def _show_difference(out: Screen, pair: tuple[FoundCheckpoint, FoundCheckpoint], found: Difference) -> None:
    for each in pair:
        out.print(f"{headline(each)}: {each.path}")
    grid = RichTable("log partition", "from offset", "to", "records")
    for move in found.partitions:
        records = "" if move.before is None or move.after is None else f"{move.after - move.before:,}"
        grid.add_row(str(move.partition), _number(move.before), _number(move.after), records)
    out.print(grid)
    grid = RichTable("operator", "stored bytes", "to")
    for size in found.operators:
        grid.add_row(size.uid, _number(size.before), _number(size.after))
    out.print(grid)
    for name, users in (
        ("new users", found.added),
        ("users gone", found.gone),
        ("users with another profile", found.changed),
        ("users with another list", found.lists_changed),
    ):
        some = ", ".join(users[:_LISTED_USERS]) + (", ..." if len(users) > _LISTED_USERS else "")
        out.print(f"{len(users):,} {name}{': ' if users else ''}{some}")


def _number(value: int | None) -> str:
    return "none" if value is None else f"{value:,}"
