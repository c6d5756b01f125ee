"""Rows of Parquet files, read by DuckDB some thousands at a time."""

import glob
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model.datasets.errors import SourceError
from model.datasets.reading import ReadReport
from model.event_time import UNITS

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_MAGIC = b"PAR1"
_BATCH_ROWS = 10_000
_TIMES = ("TIMESTAMP", "DATE")
_FAR_S = 10**12
"""Epoch seconds of a time in the year 33658: after all that are read, and microseconds can express it."""
_FILE = "recloop_file"
# A folder's `item=7` would replace the files' own column of that name.
_TABLE = "read_parquet(?, hive_partitioning = false)"
_TABLE_AND_FILE = f"read_parquet(?, hive_partitioning = false, filename = '{_FILE}')"


def parquet_files(folder: Path) -> list[Path]:
    """Return a folder's `*.parquet`, those of its folders too, in the order in which they are read.

    Files and folders below it whose names begin with `_` or `.` are no data: Spark's unfinished files lie in such.
    """
    found = (file for file in folder.rglob("*.parquet") if file.is_file())
    return sorted(file for file in found if not any(p.startswith(("_", ".")) for p in file.relative_to(folder).parts))


def is_parquet(path: Path) -> bool:
    """Return True for a file that begins as Parquet does, whatever its name is."""
    try:
        with path.open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False


def read_parquet(path: Path, names: Sequence[str], report: ReadReport) -> Iterator[Sequence[object]]:
    """Yield the named columns of each row, in the order of the files; typed times as ISO 8601 text in UTC.

    A column that no file has is taken from the names of the folders (`day=2023-11-14`), as text.

    Args:
        path: a file, or a folder with `parquet_files`.
        names: of columns.
        report: counts the rows, and each of them as a line.

    Raises:
        SourceError: there is no such file, it is no Parquet or broken, or lacks a column.
    """
    import duckdb  # a command that reads no Parquet starts faster without it

    files = parquet_files(path) if path.is_dir() else [path]
    if not files or not files[0].is_file():
        aside = "; files and folders whose names begin with _ or . do not count" if path.is_dir() else ""
        msg = f"{path} is no Parquet file, and no folder of them{aside}; give one that is there"
        raise SourceError(msg)
    with duckdb.connect(":memory:") as connection:
        connection.execute("SET TimeZone = 'UTC'; SET threads = 1")
        try:
            for row in _rows(connection, path, files, names):
                report.lines += 1
                report.begin(row)
                yield row
        except duckdb.Error as error:
            raise _unreadable(path, error) from error


def _rows(
    connection: "DuckDBPyConnection", path: Path, files: Sequence[Path], names: Sequence[str]
) -> Iterator[Sequence[object]]:
    """Yield the rows as DuckDB reads them and, from the first value that it cannot convert, as Arrow does."""
    from duckdb import ConversionException

    parameters = [[glob.escape(str(file)) for file in files]]  # DuckDB takes paths for patterns
    described = connection.execute(f"DESCRIBE SELECT * FROM {_TABLE}", parameters).fetchall()
    types: dict[str, str] = {name: type_ for name, type_, *_ in described}  # those of the first file
    in_paths = ({part.split("=")[0] for part in folder.parts if "=" in part} for folder in {f.parent for f in files})
    in_all_paths = set.intersection(*in_paths)
    if missing := [name for name in names if name not in types and name not in in_all_paths]:
        columns = ", ".join(types)[:200]
        msg = f"{path} has no column {missing[0]}; its columns are {columns}; say with --columns which is what"
        raise SourceError(msg)
    table = _TABLE if types.keys() >= set(names) else _TABLE_AND_FILE
    done = 0
    try:
        rows = connection.execute(f"SELECT {_sql(names, types)} FROM {table}", parameters)
        while batch := rows.fetchmany(_BATCH_ROWS):
            yield from batch
            done += len(batch)
    except ConversionException:
        yield from islice(_rows_by_arrow(connection, files, names, types), done, None)


def _sql(names: Sequence[str], types: Mapping[str, str]) -> str:
    """Return the SQL of the named columns; those without a type are taken from the folders' names."""
    return ", ".join(_sql_of(name, types.get(name)) for name in names)


def _sql_of(name: str, type_: str | None) -> str:
    """Return the SQL of a column, or of what the folders' names give for it if it has no type."""
    if type_ is None:
        pattern = f"(?:^|/){re.escape(name)}=([^/]*)/".replace("'", "''")
        value = f"url_decode(list_last(regexp_extract_all({_FILE}, '{pattern}', 1)))"
        return f"nullif({value}, '__HIVE_DEFAULT_PARTITION__')"
    column = '"' + name.replace('"', '""') + '"'
    if not type_.startswith(_TIMES):
        return column
    # A typed time is no number that could be in another unit.
    text = f"strftime(try_cast({column} AS TIMESTAMP), '%Y-%m-%dT%H:%M:%S.%f+00:00')"
    beyond = f"CASE WHEN {column} < DATE '1970-01-01' THEN '-infinity' WHEN {column} IS NOT NULL THEN 'infinity' END"
    return f"coalesce({text}, {beyond})"


def _rows_by_arrow(
    connection: "DuckDBPyConnection", files: Sequence[Path], names: Sequence[str], types: Mapping[str, str]
) -> Iterator[Sequence[object]]:
    """Yield the rows of files with a value that is beyond DuckDB's types, or of another type than in the first file.

    DuckDB's own reader gives up the whole file for one such value: it makes microseconds of milliseconds, and all
    files' columns those of the first. Arrow, which Flink brings, leaves values as they are.

    Args:
        connection: makes rows of Arrow's batches.
        files: in the order in which they are read.
        names: of columns.
        types: column of the first file -> its type.
    """
    import pyarrow
    from pyarrow.parquet import ParquetFile

    wanted = {name.lower() for name in names}  # DuckDB ignores the case of columns' names
    try:
        for file in files:
            with ParquetFile(file) as opened:
                columns = [name for name in opened.schema_arrow.names if name.lower() in wanted]
                for batch in opened.iter_batches(_BATCH_ROWS, columns=columns):
                    named = zip(batch.schema.names, batch.columns, strict=True)
                    cells = {name: _for_duckdb(column) for name, column in named}
                    connection.register("batch", pyarrow.table({**cells, _FILE: [str(file)] * len(batch)}))
                    described = connection.execute("DESCRIBE batch").fetchall()
                    own = {name.lower(): type_ for name, type_, *_ in described}
                    # A column that this file alone lacks gets a type, so that DuckDB refuses the file for it.
                    selected = _sql(names, {name: own.get(name.lower(), "absent") for name in types})
                    yield from connection.execute(f"SELECT {selected} FROM batch").fetchall()
    except (pyarrow.ArrowException, OSError) as error:
        raise _unreadable(file, error) from error


def _for_duckdb(column: Any) -> Any:
    """Return one of Arrow's columns; times, which are in UTC, without a zone and within what DuckDB can express."""
    import pyarrow
    import pyarrow.compute

    if not pyarrow.types.is_timestamp(column.type):
        return column
    unit = column.type.unit
    far = min(_FAR_S * UNITS[unit].per_second, 2**63 - 1)
    numbers = pyarrow.compute.min_element_wise(column.cast(pyarrow.int64()), far, skip_nulls=False)
    return pyarrow.compute.max_element_wise(numbers, -far, skip_nulls=False).cast(pyarrow.timestamp(unit))


def _unreadable(path: Path, error: Exception) -> SourceError:
    reason = str(error).partition("\n")[0]
    return SourceError(f"{path} can't be read as Parquet ({reason}); is it of another format, or cut off?")
