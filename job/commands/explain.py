"""`recloop explain USER`: a list recomputed from the log, and the reason for each of its items."""

import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.table import Table as RichTable
from rich.text import Text

from job.commands.options import DEFAULT_CLUSTER, AsJson, ClusterDirectory, stop_on_errors
from job.commands.output import Screen, print_line
from job.commands.state_output import time_text
from job.commands.tables_output import cell, refuse, to_json
from job.deployment.deploy import REMOTE_DEPLOYMENTS
from job.tables.titles import Titles
from udfs.elements import LoggedBehavior

if TYPE_CHECKING:  # the `recloop` command starts without DuckDB
    from job.explain.reasons import GoneItem, ItemReason, ModelPart
    from job.explain.recompute import Recomputed
    from job.explain.records import ListRecord

_PLACE = re.compile(r"(\d{1,9}):(\d{1,18})", re.ASCII)
_LISTED = 3
"""The number of behaviours shown of each item."""
_MISSING_SHOWN = 5
EXAMPLES = """
The newest list of a user: recloop explain 7

The list that the user had when offset 1200 of partition 2 had been applied: recloop explain 7 --at 2:1200
"""


def explain(
    user: Annotated[str, typer.Argument(help="User id.")],
    *,
    at: Annotated[
        str | None,
        typer.Option(metavar="PARTITION:OFFSET", help="The user's list as of this place in the log; else the newest."),
    ] = None,
    directory: ClusterDirectory = DEFAULT_CLUSTER,
    job_name: Annotated[str, typer.Option(help="The job's name.")] = "recloop",
    as_json: AsJson = False,
) -> None:
    """Make a user's list again, show it equal to what was written, and say what put each item there.

    The behaviours are read from the log, and applied by the settings of the deployment that applied them. The model,
    the trends and the list before are those that the list's row names. Nothing of the running job is asked or
    disturbed. The exit code is 1 where the list made again is another one.
    """
    place = _place(at)
    with stop_on_errors(), Screen(stderr=True).status("reading the tables and the log"):
        from job.explain.inputs import Deployments
        from job.explain.reasons import gone_items, item_reasons
        from job.explain.recompute import recompute
        from job.explain.records import read_records

        folder = directory / "deployments"
        deployments = Deployments(folder if folder.is_dir() else REMOTE_DEPLOYMENTS, job_name)
        recorded = read_records(deployments.newest().settings.tables.folder, user, place)
        again = recompute(recorded, deployments)
        items, gone = item_reasons(again), gone_items(again)
    if as_json:
        print_line(to_json(_answer(recorded.made, again, items, gone)))
    else:
        out = Screen()
        out.print(_headline(recorded.made))
        out.print(_grid(items, _titles(again)))
        if gone:
            out.print("gone: " + ", ".join(f"{each.item_id} ({each.rule})" for each in gone))
        _show_equality(out, again)
    if again.differences:
        raise typer.Exit(1)


def _answer(
    made: "ListRecord", again: "Recomputed", items: "list[ItemReason]", gone: "list[GoneItem]"
) -> dict[str, object]:
    return {
        "list": msgspec.to_builtins(made),
        "equal": not again.differences,
        "differences": again.differences,
        "not_in_log": again.not_in_log,
        "items": [asdict(each) | {"behaviors": msgspec.to_builtins(each.behaviors)} for each in items],
        "gone": [asdict(each) for each in gone],
    }


def _headline(made: "ListRecord") -> str:
    place = f"{made.log_partition}:{made.log_offset}"
    parts = [
        f"list version {made.list_version} of {made.user_id}",
        f"after {made.action} {made.item_id} at {place}",
        made.source if made.fallback_reason is None else f"{made.source} ({made.fallback_reason})",
        *([f"model {made.model_version} ({made.model_hash[:12]})"] if made.model_hash else []),
        *([f"trends {made.trend_snapshot}"] if made.trend_snapshot is not None else []),
    ]
    return ", ".join(parts)


def _titles(again: "Recomputed") -> Titles:
    if again.bundle is None:
        return {}
    return {item: title for item, title in zip(again.bundle.vocabulary, again.bundle.titles, strict=True) if title}


def _grid(items: "list[ItemReason]", titles: Titles) -> RichTable:
    grid = RichTable()
    for name in ("#", "item", "title", "score", "was", "model", "why"):
        grid.add_column(name, justify="right" if name in {"#", "score", "was"} else "left", overflow="fold")
    for each in items:
        part = each.model
        scored = f"{part.rank} of {part.proposed}, {part.scaled:.3f}" if part else ""
        was = "new" if each.was is None else str(each.was + 1)
        why = "; ".join((each.rule, *_parts(part), *_acts(each.behaviors)))
        cells = (each.position + 1, each.item_id, titles.get(each.item_id, ""), each.score, was, scored, why)
        grid.add_row(*map(cell, cells))
    return grid


def _place(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    if (found := _PLACE.fullmatch(text)) is None:
        refuse(f"--at {text!r} is no place in the log: give PARTITION:OFFSET, as 2:1200")
    return int(found[1]), int(found[2])


def _parts(part: "ModelPart | None") -> list[str]:
    if part is None:
        return []
    return [
        *([f"trend {part.trend:.3f} mixed in"] if part.trend else []),
        *([f"shown {part.impressions:g} times without an act"] if part.impressions else []),
    ]


def _acts(behaviors: tuple[LoggedBehavior, ...]) -> list[str]:
    return [
        f"{each.action} at {time_text(each.timestamp)} ({each.log_partition}:{each.log_offset})"
        for each in behaviors[:_LISTED]
    ]


def _show_equality(out: Screen, again: "Recomputed") -> None:
    if again.not_in_log:
        some = ", ".join(f"{partition}:{offset}" for partition, offset in again.not_in_log[:_MISSING_SHOWN])
        count = len(again.not_in_log)
        out.print(f"{count:,} behaviours are no longer in the log, and were taken from user_behavior: {some}")
    if not again.differences:
        out.print(f"made again from {len(again.history):,} behaviours: equal to what was written")
    for each in again.differences:
        out.print(Text(each, style="red"))
