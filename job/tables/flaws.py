"""What DuckDB meets in the tables' files that is no row, or does not fit its column, while it runs a query.

Nothing is read twice for it: a query calls back for such lines alone, and only files that have some are counted.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import duckdb
from duckdb.func import FunctionNullHandling

NOTE_LINE = "note_line"
NOTE_NUMBER = "note_number"


class Flaws:
    """What the queries of one connection met."""

    def __init__(self) -> None:
        self._files: set[tuple[str, str]] = set()
        self._numbers: set[tuple[str, str]] = set()

    def register(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Make the functions that the base views call."""
        functions: tuple[tuple[str, Callable[[str, str], bool | None], str], ...] = (
            (NOTE_LINE, self._line, "BOOLEAN"),
            (NOTE_NUMBER, self._number, "INTEGER"),
        )
        for name, function, returned in functions:
            connection.create_function(
                name,
                function,
                ["VARCHAR", "VARCHAR"],
                returned,
                side_effects=True,
                null_handling=FunctionNullHandling.SPECIAL,
            )

    def files(self) -> dict[str, list[Path]]:
        """By table, the files in which lines that are no rows were met."""
        found: dict[str, list[Path]] = {}
        for table, name in sorted(self._files):
            found.setdefault(table, []).append(Path(name))
        return found

    def numbers(self) -> list[tuple[str, str]]:
        """(table, column) of numbers that were shown as null."""
        return sorted(self._numbers)

    def clear(self) -> None:
        """Forget what was met."""
        self._files.clear()
        self._numbers.clear()

    def _line(self, table: str, file: str) -> bool:
        self._files.add((table, file))
        return False

    def _number(self, table: str, column: str) -> None:
        self._numbers.add((table, column))


def lines_told(table: str, counts: Sequence[tuple[Path, int]]) -> str:
    """One sentence on lines that were left out."""
    total = sum(count for _, count in counts)
    many = f"{total:,} line{'s' if total > 1 else ''} of {table} {'are' if total > 1 else 'is'} no row"
    more = f" and {len(counts) - 1:,} more files" if len(counts) > 1 else ""
    return f"{many} and left out (torn or damaged), in {counts[0][0]}{more}"


def number_told(table: str, column: str) -> str:
    """One sentence on numbers that were shown as null."""
    return f"{table} has numbers in {column} that are beyond 32 bits: they are shown as null"
