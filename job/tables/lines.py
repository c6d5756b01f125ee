"""From a line of a file to a row of a table: what both engines make of lines that are no rows.

A torn line, a line that is no JSON, or one with none of a row's main columns is left out and told of, and never keeps
the other lines from being read. A value that does not fit its column is null, and told of; any value is a text.
"""

from job.tables.columns import Column, ColumnType
from job.tables.dialect import DUCKDB_TYPES, quoted
from job.tables.schema import Table
from model.event_time import LATEST_MS

_INT_BOUNDS = (-(2**31), 2**31 - 1)
_EARLIEST_MS = -62_135_596_800_000
CALENDARS_MS = (_EARLIEST_MS, LATEST_MS)
"""The years 1 to 9999, which is what the engines' and Python's timestamps have in common."""


LISTS = frozenset({ColumnType.STRINGS, ColumnType.DOUBLES})


def line_type(column: Column) -> ColumnType:
    """The type of a column as read from the file: whole numbers are compared with 64 bits."""
    return ColumnType.LONG if column.type is ColumnType.INT else column.type


def read_as(column: Column) -> ColumnType:
    """Return the type in which DuckDB reads a column: numbers as text, as their reader makes a misfit null unseen."""
    return column.type if column.type in LISTS else ColumnType.STRING


def shown_value(column: Column, note: str) -> str:
    """Return a column of a row in DuckDB's SQL; the condition `note` is asked where its value may be a misfit."""
    name = quoted(column.name)
    if column.type is ColumnType.STRING:
        return name
    value = name if column.type in LISTS else _cast(column)
    # Of a list this doubts more than there is: it may be missing, or hold nulls.
    doubt = f"({name} IS NULL OR list_count({name}) < len({name}))" if column.type in LISTS else is_misfit(column)
    return f"CASE WHEN {doubt} THEN CASE WHEN {note} THEN NULL ELSE {value} END ELSE {value} END AS {name}"


def is_misfit(column: Column) -> str:
    """Return a condition in DuckDB's SQL that holds where a value does not fit; lists are read as JSON for it."""
    name = quoted(column.name)
    if column.type not in LISTS:
        return f"({name} IS NOT NULL AND {_cast(column)} IS NULL)"
    element = "VARCHAR" if column.type is ColumnType.STRINGS else "DOUBLE"
    misfit = f"json_type(x) <> 'NULL' AND TRY_CAST(x AS {element}) IS NULL"
    misfits = f"len(list_filter(CAST({name} AS JSON[]), lambda x : {misfit}))"
    return f"CASE json_type({name}) WHEN 'NULL' THEN FALSE WHEN 'ARRAY' THEN {misfits} > 0 ELSE {name} IS NOT NULL END"


def _cast(column: Column) -> str:
    return f"TRY_CAST({quoted(column.name)} AS {DUCKDB_TYPES[column.type]})"


def is_no_row(table: Table) -> str:
    """A condition in both engines' SQL that holds for lines with nothing of what every row has."""
    names = dict.fromkeys((*table.key, table.time_column, "epoch", table.columns[0].name))
    return " AND ".join(f"{quoted(name)} IS NULL" for name in names)


def selected(column: Column, otherwise: str) -> str:
    """A column of a row in Flink's SQL; `otherwise` stands for a number that it cannot hold."""
    name = quoted(column.name)
    if column.type is not ColumnType.INT:
        return name
    low, high = _INT_BOUNDS
    fits = f"WHEN {name} BETWEEN {low} AND {high} THEN CAST({name} AS INTEGER)"
    return f"CASE {fits} WHEN {name} IS NOT NULL THEN {otherwise} END AS {name}"
