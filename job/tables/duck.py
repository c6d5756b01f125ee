"""SQL over the tables by DuckDB, inside this process and without a copy of the data.

A connection sees one state of the files, cannot read other files of the machine, and cannot change its settings.
"""

import logging
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import duckdb

from job.tables.columns import Column
from job.tables.dialect import DUCKDB_TYPES, literal, quoted
from job.tables.files import Snapshot, reading, written_since
from job.tables.flaws import NOTE_LINE, NOTE_VALUE, Flaws, lines_warning, values_warning
from job.tables.lineage import read_lineage
from job.tables.lines import CALENDARS_MS, LISTS, is_misfit, is_no_row, line_type, read_as, shown_value
from job.tables.query import QueryResult, QueryStream, check_reads_only
from job.tables.schema import ATTEMPTS, PARTITIONS, TABLES, Table
from job.tables.statements import check_kind, execute, failed, fetch, lock_down, streamed
from job.tables.views import FILES_SCHEMA, LINEAGE, create_views
from job.tables.withdrawn import duckdb_hides, read_withdrawn
from model.records import EpochMs

_Kinds = Callable[[Column], str]
"""The name of the type in which a column is read."""
_log = logging.getLogger(__name__)
# DuckDB's epoch_ms fails for numbers that Flink's function and Python have no time for.
_SHARED_TIME_FUNCTION = (
    "CREATE MACRO to_timestamp_ltz(epoch, digits) AS "
    f"CASE WHEN epoch BETWEEN {CALENDARS_MS[0]} AND {CALENDARS_MS[1]} THEN epoch_ms(epoch) END"
)
_GLOB_SIGNS = re.compile(r"[*?\[]")
_MAX_ROW_BYTES = 64 << 20
# The innermost folders of these names, as the path to the tables folder may have such names too.
_FOLDERS = {"dt": "/dt=([^/]*)/hour=[^/]*/[^/]*$", "hour": "/hour=([^/]*)/[^/]*$"}


@contextmanager
def connect(tables_dir: Path, *, since_ms: EpochMs | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the views of `job.tables.schema.VIEWS` over the rows committed now.

    Compactors wait during the block: keep it short. A missing folder gives empty tables. Lines and values that the
    queries could not show are logged as warnings at the end.

    Args:
        tables_dir: the tables folder.
        since_ms: leaves out the rows of the hours before the one of that time; None reads all.

    Raises:
        TablesBusyError: a compactor held the lock for a minute.
        UnreadableTableError: a folder or file is there, but cannot be read.
        QueryFailedError: DuckDB failed, in the block too.
        TablesError: its memory ran out.
    """
    flaws = Flaws()
    with _connected(tables_dir, flaws, since_ms=since_ms) as connection:
        yield connection
        for flaw in _warnings(connection, flaws):
            _log.warning(flaw)


@contextmanager
def _connected(
    tables_dir: Path,
    flaws: Flaws,
    *written: Path,
    memory_mb: int | None = None,
    since_ms: EpochMs | None = None,
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Connect as `connect` does, and turn DuckDB's errors in the block into ours.

    Args:
        tables_dir: the tables folder.
        flaws: collects what queries could not show.
        written: files that a statement may write.
        memory_mb: as in `stream`.
        since_ms: as in `connect`.
    """
    with reading(tables_dir) as all_files, duckdb.connect(":memory:") as connection:
        files = all_files if since_ms is None else written_since(all_files, since_ms)
        flaws.register(connection)
        try:
            _create_views(connection, files, read_withdrawn(tables_dir))
            paths = (*written, *(path for of_table in files.values() for path in of_table))
            names = dict.fromkeys(name for path in paths for name in (str(path.absolute()), _as_pattern(path)))
            lock_down(connection, names, memory_mb=memory_mb)
            yield connection
        except duckdb.Error as error:
            raise failed(error) from error


def query(tables_dir: Path, sql: str, parameters: Sequence[object] = ()) -> QueryResult:
    """Run one reading statement over the rows committed now; each `?` in it stands for a parameter.

    Raises:
        NotAQueryError: the statement does more than read.
        QueryFailedError: DuckDB refused the statement, or failed.
        TablesBusyError: a compactor held the lock for a minute.
        UnreadableTableError: a folder or file is there, but cannot be read.
    """
    check_reads_only(sql)
    with connect(tables_dir) as connection:
        return run(connection, sql, parameters)


def run(connection: duckdb.DuckDBPyConnection, sql: str, parameters: Sequence[object] = ()) -> QueryResult:
    """Run one reading statement on an open connection; errors as in `query`."""
    started = time.perf_counter()
    columns = execute(connection, sql, parameters)
    rows = list(fetch(connection))
    return QueryResult(columns, rows, time.perf_counter() - started)


@contextmanager
def stream(tables_dir: Path, sql: str, *, memory_mb: int | None = None) -> Iterator[QueryStream]:
    """Run one reading statement, and read its rows a few at a time; errors as in `query`.

    Compactors wait until the block ends.

    Args:
        tables_dir: the tables folder.
        sql: the statement.
        memory_mb: the most memory that DuckDB may use, MiB, without files beyond it; None leaves DuckDB's own bounds.
    """
    check_reads_only(sql)
    flaws = Flaws()
    with _connected(tables_dir, flaws, memory_mb=memory_mb) as connection:
        yield streamed(connection, sql, lambda: _warnings(connection, flaws))


def write_parquet(tables_dir: Path, sql: str, path: Path) -> tuple[str, ...]:
    """Write the rows of one reading statement to a Parquet file; errors as in `query`.

    Returns:
        Warnings about the rows.
    """
    statement = check_reads_only(sql)
    flaws = Flaws()
    with _connected(tables_dir, flaws, path) as connection:
        check_kind(connection, statement)
        target = literal(str(path.absolute()))
        # DuckDB's temporary file beside it would not be among the allowed paths.
        connection.execute(f"COPY (\n{statement}\n) TO {target} (FORMAT parquet, USE_TMP_FILE false)")
        return _warnings(connection, flaws)


def _typed(column: Column) -> str:
    return DUCKDB_TYPES[line_type(column)]


def _as_read(column: Column) -> str:
    return DUCKDB_TYPES[read_as(column)]


def _raw(column: Column) -> str:
    return "JSON" if column.type in LISTS else _as_read(column)


def _count(
    connection: duckdb.DuckDBPyConnection, table: str, files: Sequence[Path], condition: str, kind: _Kinds
) -> list[tuple[Path, int]]:
    """Return the table's files with lines that meet the condition, and the number of these lines, ordered by name."""
    counted = f"SELECT filename, count(*) FROM {read_lines(TABLES[table], files, kind)} WHERE {condition}"
    rows = connection.execute(f"{counted} GROUP BY filename ORDER BY filename").fetchall()
    return [(Path(name), count) for name, count in rows]


def warnings_about(tables_dir: Path, sql: str) -> tuple[str, ...]:
    """Return the warnings about the tables that a statement names, for an engine that reports none itself."""
    flaws = Flaws()
    with _connected(tables_dir, flaws) as connection:
        for table in TABLES.values():
            if table.name in sql.lower():
                columns = ", ".join(f"max({quoted(each.name)})" for each in table.columns)
                connection.execute(f"SELECT {columns} FROM {FILES_SCHEMA}.{quoted(table.name)}").fetchall()
        return _warnings(connection, flaws)


def read_lines(table: Table, files: Sequence[Path], kind: _Kinds = _typed) -> str:
    """Return a table expression in SQL for the files' lines, with the table's columns and `filename`.

    A value that does not fit its type is null.

    Args:
        table: the table of the files.
        files: at least one.
        kind: returns the type in which a column is read; by default whole numbers have 64 bits.
    """
    types = ", ".join(f"{quoted(each.name)}: '{kind(each)}'" for each in table.columns)
    paths = ", ".join(literal(_as_pattern(path)) for path in files)
    return (
        f"read_json([{paths}], format='newline_delimited', maximum_object_size={_MAX_ROW_BYTES}, "
        f"columns={{{types}}}, ignore_errors=true, filename=true, hive_partitioning=false)"
    )


def _warnings(connection: duckdb.DuckDBPyConnection, flaws: Flaws) -> tuple[str, ...]:
    """Return a sentence for each table with lines, and each column with values, that were not shown."""
    warnings = [
        lines_warning(table, _count(connection, table, files, is_no_row(TABLES[table]), _as_read))
        for table, files in flaws.files().items()
    ]
    for (table, name), files in flaws.values().items():
        column = next(each for each in TABLES[table].columns if each.name == name)
        misfit = f"NOT ({is_no_row(TABLES[table])}) AND {is_misfit(column)}"
        if counts := _count(connection, table, files, misfit, _raw):
            warnings.append(values_warning(table, column, counts))
    return tuple(warnings)


def _create_views(connection: duckdb.DuckDBPyConnection, files: Snapshot, withdrawn: Sequence[str]) -> None:
    connection.execute(_SHARED_TIME_FUNCTION)
    connection.execute(f"CREATE SCHEMA {FILES_SCHEMA}")
    for table in TABLES.values():
        connection.execute(_create_base_view(table, files[table.name]))
    lineage = read_lineage(files[ATTEMPTS.name])
    of_lineage = f"{FILES_SCHEMA}.{quoted(LINEAGE)}"
    connection.execute(f"CREATE TABLE {of_lineage} (log_partition INTEGER, epoch BIGINT, end_offset BIGINT)")
    if lineage.epoch_ends:
        rows = ", ".join(
            f"({each.log_partition}, {each.epoch}, {'NULL' if each.end_offset is None else each.end_offset})"
            for each in lineage.epoch_ends
        )
        connection.execute(f"INSERT INTO {of_lineage} VALUES {rows}")
    for statement in create_views(lineage, partial(duckdb_hides, items=withdrawn) if withdrawn else None):
        connection.execute(statement)


def _create_base_view(table: Table, files: Sequence[Path]) -> str:
    if files:
        noted = (shown_value(each, f"{NOTE_VALUE}('{table.name}', '{each.name}', filename)") for each in table.columns)
        folders = (f"regexp_extract(filename, '{_FOLDERS[each.name]}', 1) AS {each.name}" for each in PARTITIONS)
        skipped = f"CASE WHEN {is_no_row(table)} THEN {NOTE_LINE}('{table.name}', filename) ELSE TRUE END"
        select = f"SELECT {', '.join((*noted, *folders))} FROM {read_lines(table, files, _as_read)} WHERE {skipped}"
    else:
        columns = (*table.columns, *PARTITIONS)
        nulls = ", ".join(f"CAST(NULL AS {DUCKDB_TYPES[each.type]}) AS {quoted(each.name)}" for each in columns)
        select = f"SELECT {nulls} WHERE FALSE"
    return f"CREATE VIEW {FILES_SCHEMA}.{quoted(table.name)} AS {select}"


def _as_pattern(path: Path) -> str:
    """Return a pattern that matches only the path: DuckDB interprets every path as a pattern."""
    return _GLOB_SIGNS.sub(r"[\g<0>]", str(path.absolute()))
