"""`recloop lists USER`: a user's behaviours and current list, with the changes by the last behaviour."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table as RichTable
from rich.text import Text

from job.commands.output import Screen, say
from job.commands.sql import DEFAULT_TABLES_DIR, cell, console, require_folder, stop, to_json
from job.tables.errors import TablesError
from job.tables.titles import Titles, read_titles
from job.tables.user_lists import Entry, Record, UserLists, look_up


def lists(
    user: Annotated[str, typer.Argument(help="User id.")],
    *,
    tables_dir: Annotated[Path, typer.Option(help="The job's output folder.")] = DEFAULT_TABLES_DIR,
    bundle: Annotated[Path | None, typer.Option(help="Bundle or prepared data set to take titles from.")] = None,
    last: Annotated[int, typer.Option(min=1, help="How many behaviours.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show a user's last behaviours and current list, and the changes in it."""
    require_folder(tables_dir)
    try:
        titles: Titles = {} if bundle is None else read_titles(bundle)
        found = look_up(tables_dir, user, last, titles)
    except TablesError as error:
        stop(error)
    if as_json:
        say(to_json(found.to_json()))
    elif found.known:
        _show(console(), found, titles)
    if not found.known:
        say(f"nothing of user {user} is in {tables_dir}", err=True)
        raise typer.Exit(1)


def _show(out: Screen, found: UserLists, titles: Titles) -> None:
    out.print(_behaviors(found.behaviors, titles))
    if found.current is None:
        out.print("no list yet")
        return
    out.print(Text(_headline(found, found.current)))
    out.print(_list(found))
    if found.gone:
        names = (f"{item} {titles.get(item, '')}".rstrip() for item in found.gone)
        out.print(Text("gone: " + ", ".join(names)))


def _behaviors(behaviors: list[Record], titles: Titles) -> RichTable:
    grid = RichTable(title="behaviours, newest first", title_justify="left")
    for name in ("time (UTC)", "action", "item", "title", "outcome", "number"):
        grid.add_column(name, overflow="fold")
    for each in behaviors:
        title = titles.get(str(each["item_id"]), "")
        values = (
            each["event_time"],
            each["action"],
            each["item_id"],
            title,
            each["outcome"],
            each["user_seq"],
        )
        grid.add_row(*map(cell, values))
    return grid


def _list(found: UserLists) -> RichTable:
    grid = RichTable()
    for name in ("#", "item", "title", "score", "reason", "change"):
        grid.add_column(name, justify="right" if name in {"#", "score"} else "left", overflow="fold")
    for entry in found.entries:
        values = (entry.position + 1, entry.item_id, entry.title or "", entry.score, entry.reason or "")
        grid.add_row(*map(cell, values), _change(entry))
    return grid


def _headline(found: UserLists, current: Record) -> str:
    model = f"model {current['model_version']}" if current["model_version"] else None
    made_by = ", ".join(str(each) for each in (current["source"], current["fallback_reason"], model) if each)
    compared = f"against version {found.previous_version}" if found.previous_version else "the first list"
    return (
        f"list version {current['list_version']} of {found.user_id}, {compared}: "
        f"after {current['action']} {current['item_id']}, {made_by}"
    )


def _change(entry: Entry) -> Text:
    if entry.moved is None:
        return Text("new", style="green")
    if entry.moved == 0:
        return Text("")
    return Text(f"up {entry.moved}" if entry.moved > 0 else f"down {-entry.moved}")
