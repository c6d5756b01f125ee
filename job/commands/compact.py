"""`recloop compact`: merges the small files of the output tables, once or repeatedly."""

import re
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table as RichTable

from job.commands.output import Screen, print_line, warn
from job.commands.tables_output import DEFAULT_TABLES_DIR, no_tables, refuse, stop, to_json
from job.tables.compaction import Compactor, Policy
from job.tables.errors import TablesBusyError, TablesError
from job.tables.files import has_tables, is_empty

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)?")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_SHORTEST_S, _LONGEST_S = 0.001, 8_760 * 3_600


def compact(
    tables_dir: Annotated[Path, typer.Argument(help="The job's output folder.")] = DEFAULT_TABLES_DIR,
    *,
    watch: Annotated[bool, typer.Option("--watch", help="Go on until Ctrl-C.")] = False,
    every: Annotated[str, typer.Option(help="Pause between passes, such as 30s or 5m.")] = "30s",
    max_small_files: Annotated[int, typer.Option(min=1, max=1_000_000, help="An open hour is merged above this.")] = 32,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON per pass.")] = False,
) -> None:
    """Merge small files while jobs write and others read; a closed hour becomes one file."""
    pause_s = seconds(every)
    if not tables_dir.is_dir():
        refuse(f"{tables_dir} is no folder: give the folder a job writes its tables to")
    try:
        if not has_tables(tables_dir):
            if not is_empty(tables_dir):
                refuse(f"{no_tables(tables_dir)}: give the folder a job writes its tables to")
            warn(f"{tables_dir} is empty: nothing to merge until a job writes its tables there")
    except TablesError as error:
        stop(error)
    compactor = Compactor(tables_dir, replace(Policy(), max_small_files=max_small_files))
    with _stopped_by_signals() as stopping:
        _pass(compactor, stopping, as_json=as_json, watch=watch)
        while watch and not stopping.wait(pause_s):
            _pass(compactor, stopping, as_json=as_json, watch=watch)


def seconds(text: str) -> float:
    """Return the seconds in a duration such as 500ms, 30s, 5m or 1h; a bare number is seconds."""
    match = _DURATION.fullmatch(text.strip())
    pause_s = 0.0 if match is None else float(match[1]) * _SECONDS[match[2] or "s"]
    if not _SHORTEST_S <= pause_s <= _LONGEST_S:
        refuse(f"--every {text}: write a duration from 1ms to 8760h, such as 30s or 5m")
    return pause_s


@contextmanager
def _stopped_by_signals() -> Iterator[threading.Event]:
    """Yield an event that Ctrl-C or SIGTERM sets, so that a merge at work is brought to its end."""
    stopping = threading.Event()
    kinds = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(kind, lambda _number, _frame: stopping.set()) for kind in kinds]
    try:
        yield stopping
    finally:
        for kind, handler in zip(kinds, before, strict=True):
            signal.signal(kind, handler)


def _pass(compactor: Compactor, stopping: threading.Event, *, as_json: bool, watch: bool) -> None:
    """Merge once and print the counts; busy tables are left to the next pass if `watch`, else they stop the command."""
    started = time.perf_counter()
    try:
        report = compactor.run_once(time.time_ns() // 1_000_000, stopping.is_set)
    except TablesBusyError as error:
        if not watch:
            stop(error)
        print_line(f"put off: {error}", err=True)
        return
    except (TablesError, OSError) as error:
        stop(error)
    took_s = time.perf_counter() - started
    if as_json:
        print_line(to_json({**report.to_json(), "seconds": took_s}))
        return
    if watch and not (report.merges or report.postponed or report.recovered or report.leftovers):
        return
    grid = RichTable(
        "files before", "files after", "hours merged", "MB merged", "put off", "recovered", "leftovers", "s"
    )
    counts = (report.files_before, report.files_after, report.merges)
    grid.add_row(
        *(f"{count:,}" for count in counts),
        f"{report.bytes_merged / 1e6:,.1f}",
        str(report.postponed),
        str(report.recovered),
        str(report.leftovers),
        f"{took_s:.2f}",
    )
    Screen().print(grid)
