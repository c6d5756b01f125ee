"""Rows of Parquet files, read by DuckDB some thousands at a time."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from model.datasets.errors import SourceError
from model.datasets.reading import ReadReport

_BATCH_ROWS = 10_000
_TIMES = ("TIMESTAMP", "DATE")


def read_parquet(path: Path, names: Sequence[str], report: ReadReport) -> Iterator[Sequence[object]]:
    """Yield the named columns of each row, in the order of the files; typed times as ISO 8601 text in UTC.

    Args:
        path: a file, or a folder whose `*.parquet` are read, those of its folders too.
        names: of columns.
        report: counts the rows, and each of them as a line.

    Raises:
        SourceError: there is no such file, it is no Parquet or broken, or lacks a column.
    """
    import duckdb  # a command that reads no Parquet starts faster without it

    files = sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
    if not files or not files[0].is_file():
        msg = f"{path} is no Parquet file, and no folder of them; give one that is there"
        raise SourceError(msg)
    parameters = [[_literal_path(file) for file in files]]
    with duckdb.connect(":memory:") as connection:
        connection.execute("SET TimeZone = 'UTC'; SET threads = 1")
        try:
            described = connection.execute("DESCRIBE SELECT * FROM read_parquet(?)", parameters).fetchall()
            kinds = {name: kind for name, kind, *_ in described}
            selected = ", ".join(_selected(path, name, kinds) for name in names)
            rows = connection.execute(f"SELECT {selected} FROM read_parquet(?)", parameters)
            while batch := rows.fetchmany(_BATCH_ROWS):
                for row in batch:
                    report.lines += 1
                    report.begin(row)
                    yield row
        except duckdb.Error as error:
            reason = str(error).splitlines()[0]
            msg = f"{path} can't be read as Parquet ({reason}); is it of another format, or cut off?"
            raise SourceError(msg) from error


def _literal_path(file: Path) -> str:
    """Return the path with every character escaped that DuckDB would take for a pattern."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in str(file))


def _selected(path: Path, name: str, kinds: dict[str, str]) -> str:
    if name not in kinds:
        msg = f"{path} has no column {name}; its columns are {', '.join(kinds)[:200]}; say with --columns which is what"
        raise SourceError(msg)
    column = '"' + name.replace('"', '""') + '"'
    # A typed time is no number that could be in another unit.
    return f"strftime({column}::TIMESTAMP, '%Y-%m-%dT%H:%M:%S.%f+00:00')" if kinds[name].startswith(_TIMES) else column
