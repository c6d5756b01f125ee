"""Times of a query that Python cannot represent, and that DuckDB would return changed.

These are infinite times (returned as the year 9999 or 1), intervals with months (which have no fixed length) or of
millions of days, and times with nanoseconds. Such a value is returned as DuckDB's own text, and reported. In a list, a
map or a structure all times become texts then.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from job.tables.query import Row, check_reads_only

_TIME = re.compile(r"\b(DATE|TIMESTAMP\w*|TIME_NS|INTERVAL)\b")
_TIME_IN_TYPE = re.compile(
    r"""("(?:[^"]|"")*"|'(?:[^']|'')*')|\b(?:DATE|TIMESTAMP WITH TIME ZONE|TIMESTAMP\w*|TIME_NS|INTERVAL)(?=$|[,)\[])"""
)
"""A quoted name, as group 1, or the name of a type of times; names of fields, which a type follows, do not match."""
_BEYOND_PYTHON = {
    "DATE": "infinity",
    "TIMESTAMP": "infinity",
    "INTERVAL": "[0-9] (month|year)|[0-9]{9,} days",
    "_NS": r"\.[0-9]{7,9}",
}
"""Patterns of texts that Python has no value for, by a part of the type's name."""


@dataclass(frozen=True, slots=True)
class Times:
    """The columns of a query that hold times, alone or inside a list, a map or a structure.

    Attributes:
        names: the names of all columns of the query.
        places: the places of those with times, from 0.
        kinds: the names of the types of those with times.
    """

    names: tuple[str, ...]
    places: tuple[int, ...]
    kinds: tuple[str, ...] = ()


def times_among(columns: Sequence[tuple[str, str]]) -> Times:
    """Find the columns of times by the names of their types; `columns` are names and types."""
    places = tuple(place for place, (_, kind) in enumerate(columns) if _TIME.search(kind))
    return Times(tuple(name for name, _ in columns), places, tuple(columns[place][1] for place in places))


def with_texts_of(times: Times, sql: str) -> str:
    """Return the statement with one more column for each column of times: the text of values Python can't represent."""
    statement = check_reads_only(sql)
    if not times.places:
        return statement
    names = [f"c{place}" for place in range(len(times.names))]
    values, texts = list(names), []
    for place, kind in zip(times.places, times.kinds, strict=True):
        pattern = "|".join(dict.fromkeys(each for part, each in _BEYOND_PYTHON.items() if part in kind))
        beyond = f"regexp_matches(CAST(c{place} AS VARCHAR), '{pattern}')"
        values[place] = f"CASE WHEN NOT {beyond} THEN c{place} END"
        text = _TIME_IN_TYPE.sub(lambda match: match[1] or "VARCHAR", kind)
        texts.append(f"CASE WHEN {beyond} THEN CAST(c{place} AS {text}) END")
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
        return (
            f"{self.count:,} values are infinite times, intervals of months or years, or times with nanoseconds: "
            "they are given as texts",
        )

    def _row(self, times: Times, row: Row) -> Row:
        columns = len(times.names)
        values = list(row[:columns])
        for place, text in zip(times.places, row[columns:], strict=True):
            if text is not None:
                self.count += 1
                values[place] = text
        return tuple(values)
