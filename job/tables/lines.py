"""The conversion of a file's lines to a table's rows, and both engines' handling of lines that are no rows.

A torn line, a line that is no JSON, or one with none of a row's main columns is left out and reported, and the other
lines are still read. A value that does not fit its column becomes null, and is reported; in a text column any value
fits.
"""

from job.tables.columns import Column, ColumnType
from job.tables.dialect import DUCKDB_TYPES, quoted
from job.tables.schema import Table
from model.event_time import LATEST_MS

_INT_BOUNDS = (-(2**31), 2**31 - 1)
_EARLIEST_MS = -62_135_596_800_000
CALENDARS_MS = (_EARLIEST_MS, LATEST_MS)
"""The years 1 to 9999, the common range of the engines' and Python's timestamps."""


LISTS = frozenset({ColumnType.STRINGS, ColumnType.DOUBLES})


def line_type(column: Column) -> ColumnType:
    """Return the type of a column as read from the file: whole numbers have 64 bits, so that ranges can be checked."""
    return ColumnType.LONG if column.type is ColumnType.INT else column.type


def read_as(column: Column) -> ColumnType:
    """Return the type in which DuckDB reads a column: numbers as text, as its number reader nulls misfits silently."""
    return column.type if column.type in LISTS else ColumnType.STRING


def shown_value(column: Column, note: str) -> str:
    """Return a column of a row in DuckDB's SQL; the condition `note` is evaluated if its value may be a misfit."""
    name = quoted(column.name)
    if column.type is ColumnType.STRING:
        return name
    value = name if column.type in LISTS else _cast(column)
    # A list that is missing or holds nulls is doubted too, although it is no misfit.
    doubt = f"({name} IS NULL OR list_count({name}) < len({name}))" if column.type in LISTS else is_misfit(column)
    return f"CASE WHEN {doubt} THEN CASE WHEN {note} THEN NULL ELSE {value} END ELSE {value} END AS {name}"


def is_misfit(column: Column) -> str:
    """Return a condition in DuckDB's SQL that holds if a value does not fit; it needs lists read as JSON."""
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
    """Return a condition in both engines' SQL that holds for lines without any of the columns that every row has."""
    epoch = ("epoch",) if table.is_of_attempts else ()
    names = dict.fromkeys((*table.key, table.time_column, *epoch, table.columns[0].name))
    return " AND ".join(f"{quoted(name)} IS NULL" for name in names)


def selected(column: Column, otherwise: str) -> str:
    """Return a column of a row in Flink's SQL; `otherwise` replaces a number out of its range."""
    name = quoted(column.name)
    if column.type is not ColumnType.INT:
        return name
    low, high = _INT_BOUNDS
    fits = f"WHEN {name} BETWEEN {low} AND {high} THEN CAST({name} AS INTEGER)"
    return f"CASE {fits} WHEN {name} IS NOT NULL THEN {otherwise} END AS {name}"
