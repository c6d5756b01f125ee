"""Times of a query that Python cannot represent: infinite ones, which DuckDB would return as the year 9999 or 1.

Intervals of millions of years are among them. Such a value is returned as DuckDB's own text, and reported.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from job.tables.query import Row, check_reads_only

_TIME = re.compile(r"\b(DATE|TIMESTAMP\w*|INTERVAL)\b")
_BEYOND_PYTHON = "infinity|[0-9]{7,} years|[0-9]{9,} days"


@dataclass(frozen=True, slots=True)
class Times:
    """The columns of a query that hold times, alone or inside a list, a map or a structure.

    Attributes:
        names: the names of all columns of the query.
        places: the places of those with times, from 0.
    """

    names: tuple[str, ...]
    places: tuple[int, ...]


def times_among(columns: Sequence[tuple[str, str]]) -> Times:
    """Find the columns of times by the names of their types; `columns` are names and types."""
    places = tuple(place for place, (_, kind) in enumerate(columns) if _TIME.search(kind))
    return Times(tuple(name for name, _ in columns), places)


def with_texts_of(times: Times, sql: str) -> str:
    """Return the statement with one more column for each column of times: the text of values Python can't represent."""
    statement = check_reads_only(sql)
    if not times.places:
        return statement
    names = [f"c{place}" for place in range(len(times.names))]
    values, texts = list(names), []
    for place in times.places:
        beyond = f"regexp_matches(CAST(c{place} AS VARCHAR), '{_BEYOND_PYTHON}')"
        values[place] = f"CASE WHEN NOT {beyond} THEN c{place} END"
        texts.append(f"CASE WHEN {beyond} THEN CAST(c{place} AS VARCHAR) END")
    named = ", ".join(f"{value} AS c{place}" for place, value in enumerate(values))
    return f"SELECT {named}, {', '.join(texts)} FROM (\n{statement}\n) AS q({', '.join(names)})"


class CountedTexts:
    """A counter that replaces values that Python cannot represent by their texts."""

    def __init__(self) -> None:
        self.count = 0

    def merged(self, times: Times, rows: Iterator[Row]) -> Iterator[Row]:
        """Return the rows with the columns of the original statement, texts in place of such values."""
        return (self._row(times, row) for row in rows) if times.places else rows

    def warnings(self) -> tuple[str, ...]:
        """Return a warning if values were returned as text."""
        if not self.count:
            return ()
        return (f"{self.count:,} values are infinite times, or beyond millions of years: they are given as texts",)

    def _row(self, times: Times, row: Row) -> Row:
        columns = len(times.names)
        values = list(row[:columns])
        for place, text in zip(times.places, row[columns:], strict=True):
            if text is not None:
                self.count += 1
                values[place] = text
        return tuple(values)
