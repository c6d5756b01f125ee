"""Statements on an open DuckDB connection: one query at a time, and our errors for DuckDB's."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

import duckdb

from job.tables.dialect import literal
from job.tables.errors import NotAQueryError, QueryFailedError, TablesError
from job.tables.query import QueryStream, Row, check_reads_only
from job.tables.times import CountedTexts, times_among, with_texts_of

_EXPLAIN = re.compile(r"\A\s*explain(\s+analyze)?\s+", re.IGNORECASE)
_ROWS_AT_ONCE = 1024


def lock_down(
    connection: duckdb.DuckDBPyConnection, paths: Iterable[str] = (), *, memory_mb: int | None = None
) -> None:
    """Have a connection read no files but these from now on, in bounded memory if asked, and nobody change that."""
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET python_enable_replacements = false")
    if memory_mb is not None:
        connection.execute(f"SET memory_limit = '{memory_mb}MiB'")
        connection.execute("SET temp_directory = ''")  # or it would go on in files of the current folder
    connection.execute(f"SET allowed_paths = [{', '.join(map(literal, paths))}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def streamed(
    connection: duckdb.DuckDBPyConnection, sql: str, warnings: Callable[[], tuple[str, ...]] = tuple
) -> QueryStream:
    """Run one reading statement, and read its rows a few at a time; errors as in `job.tables.duck.query`."""
    try:
        described = connection.execute(f"DESCRIBE (\n{check_reads_only(sql)}\n)").fetchall()
    except duckdb.Error:  # the statement will fail again when it is run
        described = []
    times = times_among([(name, kind) for name, kind, *_ in described])
    columns = execute(connection, with_texts_of(times, sql), ())
    counted = CountedTexts()
    rows = counted.merged(times, fetch(connection))
    columns = times.names if times.places else columns
    return QueryStream(columns, rows, lambda: (*warnings(), *counted.warnings()))


def execute(connection: duckdb.DuckDBPyConnection, sql: str, parameters: Sequence[object]) -> tuple[str, ...]:
    """Run one reading statement, and return the names of its columns; errors as in `job.tables.duck.query`."""
    statement = check_reads_only(sql)
    try:
        check_kind(connection, statement)
        connection.execute(statement, list(parameters))
    except duckdb.Error as error:
        raise failed(error) from error
    return tuple(column[0] for column in connection.description or ())


def fetch(connection: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    """Yield the rows of the statement that was run last."""
    while True:
        try:
            rows = connection.fetchmany(_ROWS_AT_ONCE)
        except duckdb.Error as error:
            raise failed(error) from error
        if not rows:
            return
        yield from rows


def check_kind(connection: duckdb.DuckDBPyConnection, statement: str) -> None:
    """Refuse statements that begin like a query but are none, such as WITH ... INSERT or EXPLAIN ANALYZE COPY."""
    explained = _EXPLAIN.sub("", statement)
    kinds = [each.type for each in connection.extract_statements(explained)]
    if kinds != [duckdb.StatementType.SELECT]:
        msg = "only one query at a time is run here, and nothing that writes: give a single SELECT"
        raise NotAQueryError(msg)


def failed(error: duckdb.Error) -> TablesError:
    """Return our error for one of DuckDB's."""
    if isinstance(error, duckdb.OutOfMemoryException):
        # The advice in DuckDB's own text is to change settings, which a query here cannot.
        msg = "the query needs more memory than there is: ask for fewer rows or columns, or take a larger machine"
        return TablesError(msg)
    text = str(error).split("\n\nLINE ")[0]
    return QueryFailedError(" ".join(text.split()))
