"""SQL over the tables by Flink's own planner, on a small cluster inside this process.

It needs Java, takes some seconds longer than DuckDB, and needs no running cluster: it picks free ports. Names that are
reserved words, such as "timestamp", are quoted with double quotes here too.
"""

import atexit
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from job.tables import duck
from job.tables.dialect import FLINK_TYPES, for_flink, literal, quoted, quoted_list
from job.tables.errors import QueryFailedError
from job.tables.files import settled, snapshot
from job.tables.lineage import read_lineage
from job.tables.lines import is_no_row, line_type, selected
from job.tables.query import QueryResult, QueryStream, Row, check_reads_only
from job.tables.schema import ATTEMPTS, PARTITIONS, TABLES, Table
from job.tables.views import FILES_SCHEMA, LINEAGE, create_views
from job.tables.withdrawn import flink_hides, read_withdrawn

if TYPE_CHECKING:
    from pyflink.table import TableEnvironment

_CONFIGURATION: Mapping[str, str] = {
    "execution.target": "local",
    "rest.port": "0",
    "rest.bind-port": "0",
    "parallelism.default": "1",
    "restart-strategy.type": "none",
    "table.local-time-zone": "UTC",
}
_LINES_SCHEMA = "lines"
_WITHDRAWN = "withdrawn"
_LINEAGE_COLUMNS = {"log_partition": "INT", "epoch": "BIGINT", "end_offset": "BIGINT"}
_WITHDRAWN_COLUMNS = {"item_id": "STRING"}
_PARTITION_NAMES = tuple(quoted(each.name) for each in PARTITIONS)
_CAUSE = re.compile(r"^(?:Caused by: |: )(?:[\w$]+\.)+[\w$]+: (.+)$", re.MULTILINE)


@contextmanager
def connect(tables_dir: Path) -> Iterator["TableEnvironment"]:
    """Open a batch TableEnvironment with the views of `job.tables.schema.VIEWS`.

    A swap that a killed compactor left half done is finished first. Compactors wait during the block.

    Raises:
        TablesBusyError: another process held the lock for a minute.
        UnreadableTableError: a folder or file is there, but cannot be read.
        JavaNotFoundError: there is no Java that can run Flink.
    """
    with settled(tables_dir), tempfile.TemporaryDirectory(prefix="recloop-sql-") as folder:
        lineage = read_lineage(snapshot(tables_dir)[ATTEMPTS.name])
        withdrawn = [(item,) for item in read_withdrawn(tables_dir)]
        environment = _batch_environment()
        for database in (_LINES_SCHEMA, FILES_SCHEMA):
            environment.execute_sql(f"CREATE DATABASE {database}")
        for table in TABLES.values():
            for statement in _create_lines_and_view(table, tables_dir):
                environment.execute_sql(for_flink(statement))
        ends = _create_table_of(lineage.epoch_ends, LINEAGE, _LINEAGE_COLUMNS, Path(folder))
        environment.execute_sql(for_flink(ends))
        environment.execute_sql(for_flink(_create_table_of(withdrawn, _WITHDRAWN, _WITHDRAWN_COLUMNS, Path(folder))))
        hide = partial(flink_hides, withdrawn=f"{FILES_SCHEMA}.{_WITHDRAWN}") if withdrawn else None
        for statement in create_views(lineage, hide):
            environment.execute_sql(for_flink(statement))
        yield environment


def query(tables_dir: Path, sql: str) -> QueryResult:
    """Run one reading statement over the rows committed now.

    Raises:
        NotAQueryError: the statement does more than read.
        QueryFailedError: Flink refused the statement, or failed.
        TablesBusyError: another process held the lock for a minute.
        UnreadableTableError: a folder or file is there, but cannot be read.
        JavaNotFoundError: there is no Java that can run Flink.
    """
    check_reads_only(sql)
    with connect(tables_dir) as environment:
        return run(environment, sql)


def run(environment: "TableEnvironment", sql: str) -> QueryResult:
    """Run one reading statement in an open environment; errors as in `query`."""
    started = time.perf_counter()
    with _running(environment, sql) as (columns, rows):
        values = list(rows)
    return QueryResult(columns, values, time.perf_counter() - started)


@contextmanager
def stream(tables_dir: Path, sql: str) -> Iterator[QueryStream]:
    """Run one reading statement, and read its rows a few at a time; errors as in `query`.

    Flink skips lines that are no rows silently, so DuckDB counts them afterwards.
    """
    check_reads_only(sql)
    with connect(tables_dir) as environment, _running(environment, sql) as (columns, rows):
        yield QueryStream(columns, rows, lambda: duck.warnings_about(tables_dir, sql))


@contextmanager
def _running(environment: "TableEnvironment", sql: str) -> Iterator[tuple[tuple[str, ...], Iterator[Row]]]:
    from py4j.protocol import Py4JJavaError
    from pyflink.util.exceptions import TableException

    statement = check_reads_only(sql)
    try:
        result = environment.execute_sql(for_flink(statement))
        columns = tuple(result.get_resolved_schema().get_column_names())
        with result.collect() as rows:
            yield columns, map(tuple, rows)
    except (Py4JJavaError, TableException) as error:
        raise QueryFailedError(root_cause(str(error))) from error


def root_cause(trace: str) -> str:
    """Return the message of the innermost exception in a Java stack trace, on one line."""
    causes = _CAUSE.findall(trace)
    first_line = causes[-1] if causes else trace.strip().splitlines()[0]
    return " ".join(first_line.split())


def _create_lines_and_view(table: Table, tables_dir: Path) -> tuple[str, str]:
    """Return the CREATE statements of a table's raw lines, and of the view of those that are rows."""
    columns = ", ".join(f"{quoted(each.name)} {FLINK_TYPES[line_type(each)]}" for each in (*table.columns, *PARTITIONS))
    partitions = quoted_list(tuple(each.name for each in PARTITIONS))
    path = literal(f"file://{(tables_dir / table.name).absolute()}")  # Flink does not decode %3D and the like
    lines = f"{_LINES_SCHEMA}.{quoted(table.name)}"
    shown = ", ".join((*(selected(each, "CAST(NULL AS INTEGER)") for each in table.columns), *_PARTITION_NAMES))
    return (
        f"CREATE TABLE {lines} ({columns}) PARTITIONED BY ({partitions}) WITH ("
        f"'connector' = 'filesystem', 'format' = 'json', 'json.ignore-parse-errors' = 'true', 'path' = {path})",
        f"CREATE VIEW {FILES_SCHEMA}.{quoted(table.name)} AS SELECT {shown} FROM {lines} "
        f"WHERE NOT ({is_no_row(table)})",
    )


def _create_table_of(rows: Iterable[Row], name: str, columns: Mapping[str, str], folder: Path) -> str:
    """Write the rows to a file and return a statement that makes a table of it.

    As VALUES of the statement, thousands of rows would generate more code than fits into a Java method.
    """
    path = folder / name
    path.mkdir()
    (path / "rows.json").write_text("\n".join(json.dumps(dict(zip(columns, row, strict=True))) for row in rows))
    typed = ", ".join(f"{column} {its_type}" for column, its_type in columns.items())
    return (
        f"CREATE TABLE {FILES_SCHEMA}.{quoted(name)} ({typed}) "
        f"WITH ('connector' = 'filesystem', 'format' = 'json', 'path' = {literal(f'file://{path}')})"
    )


def _batch_environment() -> "TableEnvironment":
    with _java_variables():
        from pyflink.common import Configuration
        from pyflink.java_gateway import get_gateway
        from pyflink.table import EnvironmentSettings, TableEnvironment

        get_gateway()
    configuration = Configuration()
    for key, value in _CONFIGURATION.items():
        configuration.set_string(key, value)
    settings = EnvironmentSettings.new_instance().in_batch_mode().with_configuration(configuration)
    return TableEnvironment.create(settings.build())


@contextmanager
def _java_variables() -> Iterator[None]:
    """Set the variables of Java's home and the log folder for PyFlink, which reads them from the process only."""
    from job.cluster.java import find_java

    wanted = {"JAVA_HOME": str(find_java(os.environ).home), "FLINK_LOG_DIR": _log_dir()}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


@cache
def _log_dir() -> str:
    """Make a folder for Flink's logs until the process ends, so that Flink does not log into its package folder."""
    folder = tempfile.mkdtemp(prefix="recloop-flink-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
