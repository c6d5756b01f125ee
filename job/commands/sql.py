"""`recloop sql`: one query over the output tables, by DuckDB or by Flink."""

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NoReturn

import msgspec
import typer
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from job.cluster.errors import ClusterError
from job.tables.errors import QueryFailedError, TablesError
from job.tables.query import QueryResult
from job.tables.schema import VIEWS, View

DEFAULT_TABLES_DIR = Path(".recloop/tables")
_PIPE_WIDTH = 10_000
_NARROWEST_COLUMN = 9


class Engine(StrEnum):
    """Who runs the query."""

    DUCKDB = "duckdb"
    FLINK = "flink"


def sql(
    statement: Annotated[str | None, typer.Argument(metavar="QUERY", help="One SELECT or the like.")] = None,
    *,
    engine: Annotated[Engine, typer.Option(help="flink needs Java and half a minute.")] = Engine.DUCKDB,
    tables_dir: Annotated[Path, typer.Option(help="The job's output folder.")] = DEFAULT_TABLES_DIR,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    list_tables: Annotated[bool, typer.Option("--tables", help="List tables and columns.")] = False,
) -> None:
    """Query the output tables; it only reads. Quote reserved words: "timestamp"."""
    if list_tables:
        show_tables(as_json=as_json)
        return
    if statement is None:
        refuse('give a query, such as "select count(*) from user_behavior", or --tables')
    if not tables_dir.is_dir():
        refuse(f"{tables_dir} is no folder: give --tables-dir, or run a job that writes it")
    try:
        result = _engine(engine)(tables_dir, statement)
    except QueryFailedError as error:
        refuse(f"{error} (recloop sql --tables lists tables and columns)")
    except (TablesError, ClusterError) as error:
        refuse(str(error))
    show_result(result, as_json=as_json)


def refuse(message: str) -> NoReturn:
    """Say on one line of stderr what is wrong and what to do, and exit with 2."""
    typer.echo(f"error: {message}", err=True)
    raise typer.Exit(2)


def to_json(value: object) -> str:
    """JSON of anything a row may hold; times as ISO 8601 in UTC, what JSON lacks as text."""
    return msgspec.json.encode(value, enc_hook=str).decode()


def console() -> Console:
    """A console that does not fold tables when its output is read by a program."""
    made = Console()
    return made if made.is_terminal else Console(width=_PIPE_WIDTH)


def show_result(result: QueryResult, *, as_json: bool) -> None:
    """Print rows, their count and the time taken."""
    if as_json:
        answer = {"rows": result.records(), "row_count": len(result.rows), "seconds": result.seconds}
        typer.echo(to_json(answer))
        return
    out = console()
    if len(result.columns) * _NARROWEST_COLUMN > out.width:
        for row in result.rows:
            out.print(_upright(result.columns, row))
    else:
        out.print(_flat(result))
    plural = "" if len(result.rows) == 1 else "s"
    out.print(f"{len(result.rows):,} row{plural} in {result.seconds:.2f} s", highlight=False)


def show_tables(*, as_json: bool) -> None:
    """Print every view with its columns and what they mean."""
    if as_json:
        typer.echo(to_json([_view_record(view) for view in VIEWS]))
        return
    out = console()
    for view in VIEWS:
        grid = RichTable("column", "type", "null", "meaning", title=f"{view.name}: {view.doc}")
        grid.title_justify = "left"
        for column in view.columns:
            null = "null" if column.nullable else ""
            grid.add_row(column.name, column.type.value, null, Text(column.doc))
        out.print(grid)


def _engine(engine: Engine) -> Callable[[Path, str], QueryResult]:
    if engine is Engine.FLINK:
        from job.tables import flink

        return flink.query
    from job.tables import duck

    return duck.query


def _view_record(view: View) -> dict[str, object]:
    columns = [
        {"name": each.name, "type": each.type.value, "nullable": each.nullable, "doc": each.doc}
        for each in view.columns
    ]
    return {"name": view.name, "doc": view.doc, "table": view.table.name, "columns": columns}


def _flat(result: QueryResult) -> RichTable:
    grid = RichTable()
    for place, name in enumerate(result.columns):
        numeric = any(isinstance(row[place], int | float) for row in result.rows)
        grid.add_column(Text(name), justify="right" if numeric else "left", overflow="fold")
    for row in result.rows:
        grid.add_row(*map(cell, row))
    return grid


def _upright(columns: tuple[str, ...], row: tuple[object, ...]) -> RichTable:
    grid = RichTable("column", "value")
    for name, value in zip(columns, row, strict=True):
        grid.add_row(Text(name), cell(value))
    return grid


def cell(value: object) -> Text:
    """A value as people read it."""
    if value is None:
        return Text("null", style="dim")
    if isinstance(value, float):
        return Text(f"{value:.6g}")
    if isinstance(value, list):
        return Text(", ".join(cell(each).plain for each in value))
    return Text(str(value))
