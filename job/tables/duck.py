"""SQL over the tables by DuckDB, inside this process and without a copy of the data.

A connection sees one state of the files, can read nothing else on the machine and cannot change its settings.
"""

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb

from job.tables.dialect import DUCKDB_TYPES, literal, quoted, quoted_list
from job.tables.errors import NotAQueryError, QueryFailedError
from job.tables.files import reading
from job.tables.query import QueryResult, check_reads_only
from job.tables.schema import PARTITIONS, TABLES, Table
from job.tables.views import FILES_SCHEMA, create_views
from job.tables.withdrawn import LATEST, read_withdrawn, without_withdrawn

_EXPLAIN = re.compile(r"\A\s*explain(\s+analyze)?\s+", re.IGNORECASE)
_SHARED_TIME_FUNCTION = "CREATE MACRO to_timestamp_ltz(epoch, digits) AS epoch_ms(epoch)"
_MAX_ROW_BYTES = 64 << 20


@contextmanager
def connect(tables_dir: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the views of `job.tables.schema.VIEWS` over what is committed now.

    Compactors wait while the block runs: keep it short. A missing folder gives empty tables.

    Raises:
        TablesBusyError: a compactor held the lock for a minute.
    """
    with reading(tables_dir) as files, duckdb.connect(":memory:") as connection:
        connection.execute(_SHARED_TIME_FUNCTION)
        connection.execute(f"CREATE SCHEMA {FILES_SCHEMA}")
        for table in TABLES.values():
            connection.execute(_create_base_view(table, files[table.name]))
        for statement in create_views():
            connection.execute(statement)
        _hide_withdrawn(connection, tables_dir)
        _lock_down(connection, [path for paths in files.values() for path in paths])
        yield connection


def query(tables_dir: Path, sql: str, parameters: Sequence[object] = ()) -> QueryResult:
    """Run one reading statement over what is committed now; `?` in it stand for the parameters.

    Raises:
        NotAQueryError: the statement does more than read.
        QueryFailedError: DuckDB refused or failed it.
        TablesBusyError: a compactor held the lock for a minute.
    """
    check_reads_only(sql)
    with connect(tables_dir) as connection:
        return run(connection, sql, parameters)


def run(connection: duckdb.DuckDBPyConnection, sql: str, parameters: Sequence[object] = ()) -> QueryResult:
    """Run one reading statement on an open connection; errors as in `query`."""
    statement = check_reads_only(sql)
    started = time.perf_counter()
    try:
        _check_kind(connection, statement)
        connection.execute(statement, list(parameters))
        columns = tuple(column[0] for column in connection.description or ())
        rows = connection.fetchall()
    except duckdb.Error as error:
        raise QueryFailedError(_one_line(error)) from error
    return QueryResult(columns, rows, time.perf_counter() - started)


def _create_base_view(table: Table, files: Sequence[Path]) -> str:
    columns = (*table.columns, *PARTITIONS)
    if files:
        names = quoted_list(tuple(column.name for column in columns))
        select = f"SELECT {names} FROM {_read_json(table, files)}"
    else:
        nulls = ", ".join(f"CAST(NULL AS {DUCKDB_TYPES[each.type]}) AS {quoted(each.name)}" for each in columns)
        select = f"SELECT {nulls} WHERE FALSE"
    return f"CREATE VIEW {FILES_SCHEMA}.{quoted(table.name)} AS {select}"


def _read_json(table: Table, files: Sequence[Path]) -> str:
    types = ", ".join(f"{quoted(each.name)}: '{DUCKDB_TYPES[each.type]}'" for each in table.columns)
    partitions = ", ".join(f"{quoted(each.name)}: '{DUCKDB_TYPES[each.type]}'" for each in PARTITIONS)
    paths = ", ".join(literal(str(path.absolute())) for path in files)
    return (
        f"read_json([{paths}], format='newline_delimited', maximum_object_size={_MAX_ROW_BYTES}, "
        f"columns={{{types}}}, hive_partitioning=true, hive_types={{{partitions}}})"
    )


def _hide_withdrawn(connection: duckdb.DuckDBPyConnection, tables_dir: Path) -> None:
    """Leaves out of the latest lists what their job shows to nobody, also where it has not swept them yet."""
    if items := read_withdrawn(tables_dir):
        found = connection.execute("SELECT sql FROM duckdb_views() WHERE view_name = ?", [LATEST]).fetchone()
        connection.execute(without_withdrawn(found[0] if found else "", items))


def _lock_down(connection: duckdb.DuckDBPyConnection, files: Sequence[Path]) -> None:
    paths = ", ".join(literal(str(path.absolute())) for path in files)
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET python_enable_replacements = false")
    connection.execute(f"SET allowed_paths = [{paths}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def _check_kind(connection: duckdb.DuckDBPyConnection, statement: str) -> None:
    """Refuse what begins like a query and is none, such as WITH ... INSERT or EXPLAIN ANALYZE COPY."""
    explained = _EXPLAIN.sub("", statement)
    kinds = [each.type for each in connection.extract_statements(explained)]
    if kinds != [duckdb.StatementType.SELECT]:
        msg = "only one query at a time is run here, and nothing that writes: give a single SELECT"
        raise NotAQueryError(msg)


def _one_line(error: duckdb.Error) -> str:
    text = str(error).split("\n\nLINE ")[0]
    return " ".join(text.split())
