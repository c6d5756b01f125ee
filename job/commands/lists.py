"""`recloop lists USER`: a user's behaviours and current list, with the changes by the last behaviour."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table as RichTable
from rich.text import Text

from job.checkpoints.checkpoint import open_checkpoint
from job.checkpoints.found import find_checkpoints, newest_by
from job.commands.options import DEFAULT_CLUSTER, AsJson, ClusterDirectory, stop_on_errors
from job.commands.output import Screen, print_line
from job.commands.state_output import show_state
from job.commands.tables_output import DEFAULT_TABLES_DIR, cell, refuse, require_folder, stop, to_json
from job.tables.errors import TablesError
from job.tables.titles import Titles, read_titles
from job.tables.user_lists import UserLists, look_up
from model.event_time import EventTimeError, EventTimes


def lists(
    user: Annotated[str, typer.Argument(help="User id.")],
    *,
    tables_dir: Annotated[Path, typer.Option(help="The job's output folder.")] = DEFAULT_TABLES_DIR,
    bundle: Annotated[Path | None, typer.Option(help="Bundle or prepared data set to take titles from.")] = None,
    at: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="As of then, from a retained checkpoint: 2026-01-31T12:00Z, or epoch ms."),
    ] = None,
    checkpoints: Annotated[
        str, typer.Option(metavar="PATH|JOB", help="With --at: the folder of checkpoints, or a job's name or id.")
    ] = "recloop",
    directory: ClusterDirectory = DEFAULT_CLUSTER,
    last: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many behaviours.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Show a user's last behaviours and current list, and the changes in it.

    --at shows the profile and the list as the newest checkpoint that was complete by then holds them.
    """
    if at is not None:
        _show_state(user, at, checkpoints, directory, bundle, as_json=as_json)
        return
    require_folder(tables_dir)
    try:
        titles: Titles = {} if bundle is None else read_titles(bundle)
        found = look_up(tables_dir, user, last, titles)
    except TablesError as error:
        stop(error)
    if as_json:
        print_line(to_json(found.to_json()))
    elif found.known:
        _show(Screen(), found, titles)
    if not found.known:
        print_line(f"nothing of user {user} is in {tables_dir}", err=True)
        raise typer.Exit(1)


def _show_state(user: str, at: str, checkpoints: str, directory: Path, bundle: Path | None, *, as_json: bool) -> None:
    """Show a user's state as of a moment."""
    with stop_on_errors():
        moment_ms = _moment_ms(at)
        titles: Titles = {} if bundle is None else read_titles(bundle)
        found = newest_by(find_checkpoints(checkpoints, directory), moment_ms)
        with open_checkpoint(found.path) as checkpoint:
            show_state(found, checkpoint, user, titles, as_json=as_json)


def _moment_ms(text: str) -> int:
    """Return the epoch milliseconds of a time that a user gave."""
    try:
        return EventTimes().to_ms(text)
    except EventTimeError as error:
        refuse(f"--at {text!r}: {error}; give a time as 2026-01-31T12:00Z, or epoch milliseconds")


def _show(out: Screen, found: UserLists, titles: Titles) -> None:
    grid = RichTable(title="behaviours, newest first", title_justify="left")
    for name in ("time (UTC)", "action", "item", "title", "outcome", "number"):
        grid.add_column(name, overflow="fold")
    for each in found.behaviors:
        title = titles.get(str(each["item_id"]), "")
        values = (each["event_time"], each["action"], each["item_id"], title, each["outcome"], each["user_seq"])
        grid.add_row(*map(cell, values))
    out.print(grid)
    if (current := found.current) is None:
        out.print("no list yet")
        return
    model = f"model {current['model_version']}" if current["model_version"] else None
    made_by = ", ".join(str(each) for each in (current["source"], current["fallback_reason"], model) if each)
    compared = f"against version {found.previous_version}" if found.previous_version else "the first list"
    headline = (
        f"list version {current['list_version']} of {found.user_id}, {compared}: "
        f"after {current['action']} {current['item_id']}, {made_by}"
    )
    out.print(Text(headline))
    grid = RichTable()
    for name in ("#", "item", "title", "score", "reason", "change"):
        grid.add_column(name, justify="right" if name in {"#", "score"} else "left", overflow="fold")
    for entry in found.entries:
        cells = (entry.position + 1, entry.item_id, entry.title or "", entry.score, entry.reason or "")
        change = Text()
        if entry.moved is None:
            change = Text("new", style="green")
        elif entry.moved:
            change = Text(f"up {entry.moved}" if entry.moved > 0 else f"down {-entry.moved}")
        grid.add_row(*map(cell, cells), change)
    out.print(grid)
    if found.gone:
        names = (f"{item} {titles.get(item, '')}".rstrip() for item in found.gone)
        out.print(Text("gone: " + ", ".join(names)))
