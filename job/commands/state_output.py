"""The output of a user's state in a checkpoint, which several commands show."""

from datetime import UTC, datetime

import msgspec
import typer
from rich.table import Table as RichTable

from job.checkpoints.checkpoint import Checkpoint
from job.checkpoints.found import FoundCheckpoint
from job.checkpoints.item_names import ItemNames
from job.checkpoints.state_rows import ListRow, UserRow, UserRows, rows_of_user
from job.commands.output import Screen, print_line
from job.commands.tables_output import cell, to_json
from job.tables.titles import Titles

_NEWEST = 20
"""The number of items shown of each part of a profile."""


def time_text(time_ms: float) -> str:
    """Return a time as people read it, in UTC."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def headline(found: FoundCheckpoint) -> str:
    """Return a checkpoint's kind, number and time."""
    kind = "savepoint" if found.is_savepoint else "checkpoint"
    return f"{kind} {found.number}, complete at {time_text(found.at_ms)} UTC"


def show_state(found: FoundCheckpoint, checkpoint: Checkpoint, user: str, titles: Titles, *, as_json: bool) -> None:
    """Print a user's profile and list as a checkpoint holds them; exit with 1 where it holds nothing of the user."""
    state = checkpoint.user(user)
    names = ItemNames.of(checkpoint)
    names.add(titles)
    rows = rows_of_user(state, names)
    if as_json:
        print_line(to_json({"path": str(found.path), "user_id": user, **msgspec.to_builtins(rows)}))
    elif state.known:
        _show_rows(Screen(), f"{headline(found)}: {found.path}", rows, titles)
    if not state.known:
        print_line(f"nothing of user {user} is in {found.path}", err=True)
        raise typer.Exit(1)


def _show_rows(out: Screen, title: str, rows: UserRows, titles: Titles) -> None:
    out.print(title)
    if rows.profile is not None:
        _show_profile(out, rows.profile, titles)
    if rows.list is None:
        out.print("no list yet")
    else:
        _show_list(out, rows.list, titles)


def _show_profile(out: Screen, row: UserRow, titles: Titles) -> None:
    title = f"profile of {row.user_id}, after behaviour {row.user_seq}; the newest {_NEWEST} of each part first"
    grid = RichTable(title=title, title_justify="left")
    for name in ("part", "item", "title", "how"):
        grid.add_column(name, overflow="fold")
    acts = zip(row.history_actions, row.history_times, strict=True)
    for name, items, notes in (
        ("history", row.history, [f"{action} at {time_text(at_s * 1000)}" for action, at_s in acts]),
        ("shown", row.shown, [f"shown {times:g} times" for times in row.impressions]),
        ("bought", row.bought, [""] * len(row.bought)),
        ("disliked", row.disliked, [""] * len(row.disliked)),
        ("seen", row.seen, [""] * len(row.seen)),
    ):
        newest = list(zip(items, notes, strict=True))[: -_NEWEST - 1 : -1]
        for number, (item, note) in enumerate(newest):
            grid.add_row(*map(cell, ("" if number else f"{name} ({len(items)})", item, titles.get(item, ""), note)))
    out.print(grid)


def _show_list(out: Screen, row: ListRow, titles: Titles) -> None:
    title = f"list version {row.list_version} of {row.user_id}, after behaviour {row.user_seq}"
    grid = RichTable(title=title, title_justify="left")
    for name in ("#", "item", "title", "score", "reason"):
        grid.add_column(name, justify="right" if name in {"#", "score"} else "left", overflow="fold")
    for place, entry in enumerate(zip(row.items, row.scores, row.reasons, strict=True), 1):
        item, score, reason = entry
        grid.add_row(*map(cell, (place, item, titles.get(item, ""), score, reason)))
    out.print(grid)
