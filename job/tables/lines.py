"""From a line of a file to a row of a table: what both engines make of lines that are no rows.

A torn line, a line that is no JSON, or one with none of a row's main columns is left out and told of, and never keeps
the other lines from being read. Whole numbers are read with 64 bits and shown with what their column has: one that
does not fit is null, and told of.
"""

from job.tables.columns import Column, ColumnType
from job.tables.dialect import quoted
from job.tables.schema import Table
from model.event_time import LATEST_MS

_INT_BOUNDS = (-(2**31), 2**31 - 1)
_EARLIEST_MS = -62_135_596_800_000
CALENDARS_MS = (_EARLIEST_MS, LATEST_MS)
"""The years 1 to 9999, which is what the engines' and Python's timestamps have in common."""


def line_type(column: Column) -> ColumnType:
    """The type in which a column is read from the file."""
    return ColumnType.LONG if column.type is ColumnType.INT else column.type


def is_no_row(table: Table) -> str:
    """A condition in both engines' SQL that holds for lines with nothing of what every row has."""
    names = dict.fromkeys((*table.key, table.time_column, "epoch", table.columns[0].name))
    return " AND ".join(f"{quoted(name)} IS NULL" for name in names)


def selected(column: Column, otherwise: str) -> str:
    """A column of a row in both engines' SQL; `otherwise` stands for a number that it cannot hold."""
    name = quoted(column.name)
    if column.type is not ColumnType.INT:
        return name
    low, high = _INT_BOUNDS
    fits = f"WHEN {name} BETWEEN {low} AND {high} THEN CAST({name} AS INTEGER)"
    return f"CASE {fits} WHEN {name} IS NOT NULL THEN {otherwise} END AS {name}"
