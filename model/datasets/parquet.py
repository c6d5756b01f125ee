"""Rows of Parquet files, read by DuckDB some thousands at a time."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from model.datasets.errors import SourceError
from model.datasets.reading import ReadReport

_MAGIC = b"PAR1"
_BATCH_ROWS = 10_000
_TIMES = ("TIMESTAMP", "DATE")
_FILE = "recloop_file"
# A folder's `item=7` would replace the files' own column of that name.
_TABLE = "read_parquet(?, hive_partitioning = false)"
_TABLE_AND_FILE = f"read_parquet(?, hive_partitioning = false, filename = '{_FILE}')"


def parquet_files(folder: Path) -> list[Path]:
    """Return a folder's `*.parquet`, those of its folders too, in the order in which they are read.

    Files and folders below it whose names begin with `_` or `.` are no data: Spark's unfinished files lie in such.
    """
    found = (file for file in folder.rglob("*.parquet") if file.is_file())
    return sorted(file for file in found if not _is_aside(file.relative_to(folder)))


def is_parquet(path: Path) -> bool:
    """Return True for a file that begins as Parquet does, whatever its name is."""
    try:
        with path.open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False


def _is_aside(below: Path) -> bool:
    return any(part.startswith(("_", ".")) for part in below.parts)


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
    parameters = [[_literal_path(file) for file in files]]
    with duckdb.connect(":memory:") as connection:
        connection.execute("SET TimeZone = 'UTC'; SET threads = 1")
        try:
            described = connection.execute(f"DESCRIBE SELECT * FROM {_TABLE}", parameters).fetchall()
            kinds = {name: kind for name, kind, *_ in described}
            in_path = _keys_of_all(files)
            selected = ", ".join(_selected(path, name, kinds, in_path) for name in names)
            table = _TABLE if kinds.keys() >= set(names) else _TABLE_AND_FILE
            rows = connection.execute(f"SELECT {selected} FROM {table}", parameters)
            while batch := rows.fetchmany(_BATCH_ROWS):
                for row in batch:
                    report.lines += 1
                    report.begin(row)
                    yield row
        except duckdb.ConversionException as error:
            reason = str(error).splitlines()[0]
            msg = (
                f"{path} holds a value beyond its column's type ({reason}); write that column anew, for example as text"
            )
            raise SourceError(msg) from error
        except duckdb.Error as error:
            reason = str(error).splitlines()[0]
            msg = f"{path} can't be read as Parquet ({reason}); is it of another format, or cut off?"
            raise SourceError(msg) from error


def _literal_path(file: Path) -> str:
    """Return the path with every character escaped that DuckDB would take for a pattern."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in str(file))


def _keys_of_all(files: Sequence[Path]) -> set[str]:
    """Return the names of columns that the folders of all the files give."""
    of_folders = ({part.split("=")[0] for part in folder.parts if "=" in part} for folder in {f.parent for f in files})
    return set.intersection(*of_folders)


def _selected(path: Path, name: str, kinds: dict[str, str], in_path: set[str]) -> str:
    if name not in kinds and name in in_path:
        value = (
            f"url_decode(list_last(regexp_extract_all({_FILE}, {_quoted(f'(?:^|/){re.escape(name)}=([^/]*)/')}, 1)))"
        )
        return f"nullif({value}, '__HIVE_DEFAULT_PARTITION__')"
    if name not in kinds:
        msg = f"{path} has no column {name}; its columns are {', '.join(kinds)[:200]}; say with --columns which is what"
        raise SourceError(msg)
    column = '"' + name.replace('"', '""') + '"'
    # A typed time is no number that could be in another unit.
    return f"strftime({column}::TIMESTAMP, '%Y-%m-%dT%H:%M:%S.%f+00:00')" if kinds[name].startswith(_TIMES) else column


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
