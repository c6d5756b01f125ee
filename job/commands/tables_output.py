"""The output of the commands that read the tables, and the folders that they refuse."""

from pathlib import Path
from typing import NoReturn

import typer
from rich.table import Table as RichTable
from rich.text import Text

from job.commands.output import Screen, print_line, shown, warn
from job.tables.errors import UnreadableTableError, unreadable
from job.tables.files import has_tables
from job.tables.formats import Values
from job.tables.query import QueryResult
from job.tables.schema import TABLES

DEFAULT_TABLES_DIR = Path(".recloop/tables")
_NARROWEST_COLUMN = 9


def require_folder(tables_dir: Path) -> None:
    """Refuse a tables folder that is not there; warn if it has no tables."""
    try:
        there = tables_dir.is_dir()
    except OSError as error:
        stop(unreadable(tables_dir, error))
    if not there:
        refuse(f"{tables_dir} is no folder: give --tables-dir, or run a job that writes it")
    try:
        if not has_tables(tables_dir):
            warn(f"{no_tables(tables_dir)}: give --tables-dir, or run a job that writes them")
    except UnreadableTableError as error:
        stop(error)


def no_tables(tables_dir: Path) -> str:
    """Return the beginning of a sentence about a folder without tables."""
    return f"{tables_dir} has no tables (no folder {', '.join([*TABLES][:-1])} or {[*TABLES][-1]})"


def stop(error: Exception, hint: str = "") -> NoReturn:
    """Print an error as one line on stderr, and exit with 1, or with 2 if the folder cannot be read."""
    print_line(f"error: {' '.join(str(error).split())}{hint}", err=True)
    raise typer.Exit(2 if isinstance(error, UnreadableTableError) else 1) from error


def refuse(message: str) -> NoReturn:
    """Print a message with advice as one line on stderr, and exit with 2."""
    print_line(f"error: {message}", err=True)
    raise typer.Exit(2)


def to_json(value: object) -> str:
    """Return the JSON of any value in a row; times as ISO 8601 in UTC, values that JSON lacks as text."""
    return Values().json(value).decode()


def show_result(result: QueryResult, out: Screen) -> None:
    """Print rows, their count and the time taken."""
    if len(result.columns) * _NARROWEST_COLUMN > out.width:
        for row in result.rows:
            grid = RichTable("column", "value")
            for name, value in zip(result.columns, row, strict=True):
                grid.add_row(Text(shown(name)), cell(value))
            out.print(grid)
    else:
        grid = RichTable()
        for place, name in enumerate(result.columns):
            numeric = any(isinstance(row[place], int | float) for row in result.rows)
            grid.add_column(Text(shown(name)), justify="right" if numeric else "left", overflow="fold")
        for row in result.rows:
            grid.add_row(*map(cell, row))
        out.print(grid)
    plural = "" if len(result.rows) == 1 else "s"
    out.print(f"{len(result.rows):,} row{plural} in {result.seconds:.2f} s", highlight=False)


def cell(value: object) -> Text:
    """Return a value as people read it."""
    if value is None:
        return Text("null", style="dim")
    if isinstance(value, float):
        return Text(f"{value:.6g}")
    if isinstance(value, list):
        return Text(", ".join(cell(each).plain for each in value))
    return Text(shown(str(value)))  # escaped before the table measures it
