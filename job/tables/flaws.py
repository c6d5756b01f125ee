"""The damaged data that a query of DuckDB finds in the tables' files: lines that are no rows, and unfit values.

An unfit value is one that does not fit its column. A query calls back for such lines only, so files are not read twice
to find them; only files that have some are read again, to count them.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import duckdb
from duckdb.func import FunctionNullHandling

from job.tables.columns import Column, ColumnType

NOTE_LINE = "note_line"
NOTE_VALUE = "note_value"

_KINDS = {
    ColumnType.INT: "32-bit integer",
    ColumnType.LONG: "64-bit integer",
    ColumnType.DOUBLE: "number",
    ColumnType.BOOLEAN: "boolean",
    ColumnType.STRINGS: "array of texts",
    ColumnType.DOUBLES: "array of numbers",
}


class Flaws:
    """The flaws that the queries of a connection found."""

    def __init__(self) -> None:
        self._files: set[tuple[str, str]] = set()
        self._values: set[tuple[str, str, str]] = set()

    def register(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Create the functions that the base views call."""
        functions: tuple[tuple[str, Callable[..., bool], int], ...] = (
            (NOTE_LINE, self._line, 2),
            (NOTE_VALUE, self._value, 3),
        )
        for name, function, takes in functions:
            connection.create_function(
                name,
                function,
                ["VARCHAR"] * takes,
                "BOOLEAN",
                side_effects=True,
                null_handling=FunctionNullHandling.SPECIAL,
            )

    def files(self) -> dict[str, list[Path]]:
        """Return by table the files in which lines were found that are no rows."""
        found: dict[str, list[Path]] = {}
        for table, name in sorted(self._files):
            found.setdefault(table, []).append(Path(name))
        return found

    def values(self) -> dict[tuple[str, str], list[Path]]:
        """Return by table and column the files that may have values that do not fit the column."""
        found: dict[tuple[str, str], list[Path]] = {}
        for table, column, name in sorted(self._values):
            found.setdefault((table, column), []).append(Path(name))
        return found

    def _line(self, table: str, file: str) -> bool:
        self._files.add((table, file))
        return False

    def _value(self, table: str, column: str, file: str) -> bool:
        self._values.add((table, column, file))
        return False


def lines_warning(table: str, counts: Sequence[tuple[Path, int]]) -> str:
    """Return a sentence about lines that were left out."""
    lines, one = _lines(table, counts)
    return f"{lines} {'is' if one else 'are'} no row and left out (torn or damaged), in {_files(counts)}"


def values_warning(table: str, column: Column, counts: Sequence[tuple[Path, int]]) -> str:
    """Return a sentence about values that do not fit their column."""
    lines, one = _lines(table, counts)
    misfit = f"{'has' if one else 'have'} a value in {column.name} that is no {_KINDS[column.type]}"
    return f"{lines} {misfit} and shown as null, in {_files(counts)}"


def _lines(table: str, counts: Sequence[tuple[Path, int]]) -> tuple[str, bool]:
    total = sum(count for _, count in counts)
    return f"{total:,} line{'s' if total > 1 else ''} of {table}", total == 1


def _files(counts: Sequence[tuple[Path, int]]) -> str:
    return f"{counts[0][0]}" + (f" and {len(counts) - 1:,} more files" if len(counts) > 1 else "")
