"""A column of a table: its name, its type and what it means."""

from dataclasses import dataclass
from enum import StrEnum


class ColumnType(StrEnum):
    """What a column holds; `job.tables.dialect` names it in each engine's SQL."""

    STRING = "string"
    INT = "int"
    LONG = "long"
    DOUBLE = "double"
    BOOLEAN = "boolean"
    STRINGS = "array of string"
    DOUBLES = "array of double"
    TIMESTAMP = "timestamp"
    """Only in views: no row holds one."""


@dataclass(frozen=True, slots=True)
class Column:
    """One field of a row.

    Attributes:
        doc: one line, shown by `recloop sql --tables`.
        nullable: the field may be null or absent.
    """

    name: str
    type: ColumnType
    doc: str
    nullable: bool = False


def string_column(name: str, doc: str, *, nullable: bool = False) -> Column:
    """A column of text."""
    return Column(name, ColumnType.STRING, doc, nullable)


def int_column(name: str, doc: str, *, nullable: bool = False) -> Column:
    """A column of 32-bit integers."""
    return Column(name, ColumnType.INT, doc, nullable)


def long_column(name: str, doc: str, *, nullable: bool = False) -> Column:
    """A column of 64-bit integers."""
    return Column(name, ColumnType.LONG, doc, nullable)


def double_column(name: str, doc: str, *, nullable: bool = False) -> Column:
    """A column of 64-bit floats."""
    return Column(name, ColumnType.DOUBLE, doc, nullable)
