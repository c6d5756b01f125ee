"""`recloop sql`: a query over the output tables, by DuckDB or by Flink."""

import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from io import StringIO
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table as RichTable

from job.commands.options import AsJson
from job.commands.output import Screen, print_line, shown, warn
from job.commands.tables_output import (
    DEFAULT_TABLES_DIR,
    refuse,
    require_folder,
    show_result,
    stop,
    to_json,
)
from job.tables.columns import Column, columns_of
from job.tables.errors import ExportError, QueryFailedError
from job.tables.export import check_target, export, new_file
from job.tables.formats import Format, Values, chunks
from job.tables.query import QueryResult, QueryStream
from job.tables.schema import VIEWS
from model.errors import RecloopError

_SUFFIXES = {
    ".csv": Format.CSV,
    ".json": Format.JSON,
    ".jsonl": Format.JSONL,
    ".ndjson": Format.JSONL,
    ".parquet": Format.PARQUET,
    ".txt": Format.TABLE,
}


class Engine(StrEnum):
    """The engine that runs the query."""

    DUCKDB = "duckdb"
    FLINK = "flink"


def sql(
    statement: Annotated[str | None, typer.Argument(metavar="QUERY", help="One SELECT or the like.")] = None,
    *,
    engine: Annotated[Engine, typer.Option(help="flink needs Java and half a minute.")] = Engine.DUCKDB,
    tables_dir: Annotated[Path, typer.Option(help="The job's output folder.")] = DEFAULT_TABLES_DIR,
    checkpoint: Annotated[
        Path | None, typer.Option(help="Query the state in this checkpoint or savepoint instead: users, lists ...")
    ] = None,
    form: Annotated[Format | None, typer.Option("--format", help="How rows are written; --json is json.")] = None,
    out: Annotated[Path | None, typer.Option(help="To this new file; its ending says how.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file of --out.")] = False,
    as_json: AsJson = False,
    list_tables: Annotated[bool, typer.Option("--tables", help="List tables and columns.")] = False,
) -> None:
    """Query the output tables; it only reads. Quote reserved words: "timestamp".

    In json, jsonl and csv NaN and the infinities are the texts NaN, Infinity and -Infinity; a null is null, and empty
    in csv. Infinite times are texts everywhere. Lines of the tables' files that are not rows are left out, and values
    that do not fit their column are null. All of that is reported on standard error.

    --checkpoint PATH makes the job's state as of that checkpoint tables: users, lists, log_positions and trends.

    --out FILE ends in .csv, .json, .jsonl, .parquet or .txt (the table), unless --format names the format.
    """
    if list_tables:
        _show_tables(_views() if checkpoint is None else _states(), as_json=as_json)
        return
    if statement is None:
        refuse('give a query, such as "select count(*) from user_behavior", or --tables')
    form = _format(form, out, as_json=as_json)
    if checkpoint is None:
        require_folder(tables_dir)
    elif engine is Engine.FLINK or form is Format.PARQUET:
        refuse("the state in a checkpoint is queried by DuckDB, and not written as Parquet: leave out that option")
    if out is not None:
        _check_target(out, tables_dir if checkpoint is None else None, force=force)
    try:
        if form is Format.PARQUET:
            _write_parquet(tables_dir, statement, out, engine, force=force)
        else:
            with _stream(statement, engine, tables_dir, checkpoint) as answer:
                _answer(answer, form, out, force=force)
    except QueryFailedError as error:
        stop(error, hint=" (recloop sql --tables lists tables and columns)")
    except RecloopError as error:
        stop(error)


def _check_target(out: Path, tables_dir: Path | None, *, force: bool) -> None:
    if tables_dir is not None and out.resolve().is_relative_to(tables_dir.resolve()):
        refuse(f"{out} is inside the tables: give another --out")
    try:
        check_target(out, force=force)
    except (ExportError, OSError) as error:
        refuse(str(error))


def _stream(
    statement: str, engine: Engine, tables_dir: Path, checkpoint: Path | None
) -> AbstractContextManager[QueryStream]:
    """Return the rows of a query; each engine is imported where it is used, as it takes its time."""
    if checkpoint is not None:
        from job.checkpoints import state_sql

        return state_sql.stream(checkpoint, statement)
    if engine is Engine.FLINK:
        from job.tables import flink

        return flink.stream(tables_dir, statement)
    from job.tables import duck

    return duck.stream(tables_dir, statement)


def _format(form: Format | None, out: Path | None, *, as_json: bool) -> Format:
    if as_json and form not in {None, Format.JSON}:
        refuse(f"--json and --format {form}: give one of them")
    if as_json:
        form = Format.JSON
    if out is None:
        return form or Format.TABLE
    named = _SUFFIXES.get(out.suffix.lower())
    if form is None and named is None:
        refuse(f"--out {out}: end it in {', '.join(_SUFFIXES)}, or say with --format how it is to be written")
    if form and named and form is not named:
        refuse(f"--out {out} and {form}: give a file that ends otherwise, or another --format")
    return form or named or Format.TABLE


def _write_parquet(tables_dir: Path, statement: str, out: Path | None, engine: Engine, *, force: bool) -> None:
    if out is None or engine is not Engine.DUCKDB:
        refuse("parquet goes into a file, and DuckDB alone writes it: give --out FILE, and no --engine")
    from job.tables import duck

    with new_file(out, force=force) as file:
        warnings = duck.write_parquet(tables_dir, statement, Path(file.name))
    for warning in warnings:
        warn(warning)


def _answer(answer: QueryStream, form: Format, out: Path | None, *, force: bool) -> None:
    """Write the rows to their target, then warnings about them to standard error."""
    values = Values()
    if form is Format.TABLE:
        started = time.perf_counter()
        rows = list(answer.rows)
        result = QueryResult(answer.columns, rows, time.perf_counter() - started)
        if out is None:
            show_result(result, Screen())
        else:
            text = StringIO()
            show_result(result, Screen(file=text))
            export(out, [text.getvalue().encode()], force=force)
    elif out is None:
        stdout = typer.get_binary_stream("stdout")
        for chunk in chunks(answer, form, values):
            stdout.write(shown(chunk.decode()).encode() if stdout.isatty() else chunk)
        stdout.flush()
    else:
        export(out, chunks(answer, form, values), force=force)
    for warning in (*answer.warnings(), *values.warnings()):
        warn(warning)


@dataclass(frozen=True, slots=True)
class _Shown:
    """A table or view, as --tables shows it."""

    name: str
    doc: str
    table: str
    columns: tuple[Column, ...]


def _views() -> list[_Shown]:
    return [_Shown(each.name, each.doc, each.table.name, each.columns) for each in VIEWS]


def _states() -> list[_Shown]:
    from job.checkpoints.state_rows import STATE_TABLES

    return [_Shown(name, str(row.__doc__), name, columns_of(row)) for name, row in STATE_TABLES.items()]


def _show_tables(tables: list[_Shown], *, as_json: bool) -> None:
    """Print every table with its columns and their meaning."""
    if as_json:
        records = []
        for table in tables:
            columns = [
                {"name": each.name, "type": each.type.value, "nullable": each.nullable, "doc": each.doc}
                for each in table.columns
            ]
            records.append({"name": table.name, "doc": table.doc, "table": table.table, "columns": columns})
        print_line(to_json(records))
        return
    out = Screen()
    for table in tables:
        grid = RichTable("column", "type", "null", "meaning", title=f"{table.name}: {table.doc}")
        grid.title_justify = "left"
        for column in table.columns:
            null = "null" if column.nullable else ""
            grid.add_row(column.name, column.type.value, null, column.doc)
        out.print(grid)
