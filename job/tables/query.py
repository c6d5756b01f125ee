"""The result of a query, the same for both engines, and the check that a statement only reads."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from job.tables.errors import NotAQueryError

Row = tuple[object, ...]
Rows = list[Row]

_READING = frozenset({"select", "with", "show", "describe", "desc", "explain", "values", "from", "summarize"})
_COMMENTS = re.compile(r"\A(?:\s+|--[^\n]*(?:\n|\Z)|/\*.*?\*/|\()+", re.DOTALL)
_LONE_SURROGATES = re.compile(r"[\ud800-\udfff]")
_WORD = re.compile(r"[a-z_]+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class QueryResult:
    """The rows in the order of the query; `seconds` from the statement to the last row."""

    columns: tuple[str, ...]
    rows: Rows
    seconds: float

    def records(self) -> list[dict[str, object]]:
        """Return the rows as dictionaries by column name; a repeated name gets a number, as in `n_2`."""
        names = single_names(self.columns)
        return [dict(zip(names, row, strict=True)) for row in self.rows]


@dataclass(frozen=True, slots=True)
class QueryStream:
    """The rows in the order of the query, fetched as they are consumed.

    Attributes:
        warnings: returns warnings about the rows; called once all rows are read, as the last use of the stream.
    """

    columns: tuple[str, ...]
    rows: Iterator[Row]
    warnings: Callable[[], tuple[str, ...]]


def single_names(columns: tuple[str, ...]) -> list[str]:
    """Make the columns' names unique: a repeated name gets a number, as in `n_2`."""
    names: list[str] = []
    for name in columns:
        number, single = 1, name
        while single in names:
            number += 1
            single = f"{name}_{number}"
        names.append(single)
    return names


def check_reads_only(sql: str) -> str:
    """Return the statement without its last semicolon.

    Raises:
        NotAQueryError: it does not begin like a statement that only reads, or is no valid text.
    """
    if not sql.isascii() and _LONE_SURROGATES.search(sql):
        msg = "the query holds bytes that are no UTF-8: write it in UTF-8"
        raise NotAQueryError(msg)
    statement = sql.strip().removesuffix(";").rstrip()
    word = _WORD.match(_COMMENTS.sub("", statement))
    if word is None or word[0].lower() not in _READING:
        msg = "only queries are run here: begin with SELECT, WITH, VALUES, SHOW, DESCRIBE or EXPLAIN"
        raise NotAQueryError(msg)
    return statement
