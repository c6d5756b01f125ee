"""The columns of a table, from the struct of its rows: names, types and descriptions.

DuckDB's and Flink's DDL, the views, the page of the docs and `recloop sql --tables` are generated from these.
"""

from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from msgspec import Struct
from msgspec.inspect import (
    BoolType,
    FloatType,
    IntType,
    ListType,
    Metadata,
    NoneType,
    StrType,
    Type,
    UnionType,
    type_info,
)
from msgspec.structs import FieldInfo, fields


class ColumnType(StrEnum):
    """The type of a column; `job.tables.dialect` has its names in each engine's SQL."""

    STRING = "string"
    INT = "int"
    LONG = "long"
    DOUBLE = "double"
    BOOLEAN = "boolean"
    STRINGS = "array of string"
    DOUBLES = "array of double"
    TIMESTAMP = "timestamp"
    """Only in views: no row has one."""


@dataclass(frozen=True, slots=True)
class Column:
    """A field of a row.

    Attributes:
        doc: a line of description, shown by `recloop sql --tables`.
        nullable: the field may be null or absent.
    """

    name: str
    type: ColumnType
    doc: str
    nullable: bool = False


@cache
def columns_of(row: type[Struct]) -> tuple[Column, ...]:
    """Return a column for each field, in the fields' order.

    A field's type is one of str, int (64 bits), `udfs.rows.Int32`, float, bool, list[str] and list[float], or one of
    these or None; `msgspec.Meta(description=...)` gives its description.

    Raises:
        TypeError: a field has no description, or another type.
    """
    return tuple(_column(row, field) for field in fields(row))


def _column(row: type[Struct], field: FieldInfo) -> Column:
    kind = type_info(field.type)
    schema: dict[str, str] = {}
    nullable = False
    while isinstance(kind, Metadata | UnionType):  # Annotated and "| None" wrap the type, in either order
        match kind:
            case Metadata():
                schema |= kind.extra_json_schema or {}
                kind = kind.type
            case UnionType(types=(one, NoneType())):
                nullable = True
                kind = one
            case _:
                break
    column_type = _column_type(kind, schema.get("format"))
    if column_type is None:
        msg = f"{row.__name__}.{field.name} has a type that no column holds: take one that columns_of names"
        raise TypeError(msg)
    if not (doc := schema.get("description")):
        msg = f"{row.__name__}.{field.name} has no description: annotate it with msgspec.Meta(description=...)"
        raise TypeError(msg)
    return Column(name=field.name, type=column_type, doc=doc, nullable=nullable)


def _column_type(kind: Type, number_format: str | None) -> ColumnType | None:
    match kind:
        case StrType():
            return ColumnType.STRING
        case IntType():
            return ColumnType.INT if number_format == "int32" else ColumnType.LONG
        case FloatType():
            return ColumnType.DOUBLE
        case BoolType():
            return ColumnType.BOOLEAN
        case ListType(item_type=StrType()):
            return ColumnType.STRINGS
        case ListType(item_type=FloatType()):
            return ColumnType.DOUBLES
        case _:
            return None
