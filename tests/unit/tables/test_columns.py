"""One definition of a table's columns, the struct of its rows: what follows from it, and what is refused."""

import tempfile
from pathlib import Path
from typing import Annotated, Any, get_args, get_type_hints

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Meta

from job.tables import duck
from job.tables.columns import Column, ColumnType, columns_of
from job.tables.dialect import quoted_list
from job.tables.schema import TABLES
from tests.unit.tables.rows import HOUR
from udfs.rows import AttemptRow, Int32, Row, to_lines

Described = Meta(description="what it means")
KINDS: list[tuple[Any, ColumnType]] = [
    (str, ColumnType.STRING),
    (Int32, ColumnType.INT),
    (int, ColumnType.LONG),
    (float, ColumnType.DOUBLE),
    (bool, ColumnType.BOOLEAN),
    (list[str], ColumnType.STRINGS),
    (list[float], ColumnType.DOUBLES),
]


def struct_of(annotation: Any) -> type[msgspec.Struct]:
    return msgspec.defstruct("SomeRow", [("some_field", annotation)])


def test_each_kind_of_row_belongs_to_one_table() -> None:
    assert sorted(map(repr, get_args(Row))) == sorted(repr(table.row) for table in TABLES.values())


@pytest.mark.parametrize(("annotation", "kind"), KINDS)
def test_an_annotation_makes_its_column(annotation: Any, kind: ColumnType) -> None:
    described = Annotated[annotation, Described]
    column = Column("some_field", kind, "what it means")
    assert columns_of(struct_of(described)) == (column,)
    or_null = Column("some_field", kind, "what it means", nullable=True)
    assert columns_of(struct_of(described | None)) == (or_null,)
    assert columns_of(struct_of(Annotated[annotation | None, Described])) == (or_null,)


def test_every_type_of_a_column_but_the_views_own_is_of_some_row() -> None:
    assert {kind for _, kind in KINDS} == set(ColumnType) - {ColumnType.TIMESTAMP}


@pytest.mark.parametrize("annotation", [dict[str, int], list[int], bytes, str | int, tuple[str, ...], Any])
def test_a_type_that_no_table_has_is_refused_by_the_fields_name(annotation: Any) -> None:
    with pytest.raises(TypeError, match=r"SomeRow\.some_field"):
        columns_of(struct_of(Annotated[annotation, Described]))


@pytest.mark.parametrize("annotation", [str, Int32, str | None, Annotated[str, Meta(description="")]])
def test_a_column_that_does_not_say_what_it_is_is_refused(annotation: Any) -> None:
    with pytest.raises(TypeError, match=r"SomeRow\.some_field has no description"):
        columns_of(struct_of(annotation))


def rows_of(row: type[msgspec.Struct]) -> st.SearchStrategy[list[Any]]:
    plain, bits = get_type_hints(row), get_type_hints(row, include_extras=True)
    fields = {name: values_of(plain[name], 32 if "int32" in repr(bits[name]) else 64) for name in plain}
    if row is AttemptRow:  # others than an attempt writes are refused when tables are opened
        numbers = dict.fromkeys(("log_partition", "first_offset", "generation", "epoch"), st.integers(0, 2**31 - 1))
        fields |= numbers | {"parent_epoch": st.none()}
    return st.lists(st.builds(row, **fields), min_size=1, max_size=9)


def values_of(annotation: Any, bits: int) -> st.SearchStrategy[Any]:
    if type(None) in get_args(annotation):
        return st.none() | values_of(get_args(annotation)[0], bits)
    text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    number = st.floats(allow_nan=False, allow_infinity=False)
    drawn: dict[Any, st.SearchStrategy[Any]] = {
        str: text,
        int: st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1),
        float: number,
        bool: st.booleans(),
        list[str]: st.lists(text, max_size=3),
        list[float]: st.lists(number, max_size=3),
    }
    return drawn[annotation]


@pytest.mark.heavy
@settings(max_examples=10, deadline=None)
@given(drawn=st.fixed_dictionaries({name: rows_of(table.row) for name, table in TABLES.items()}))
def test_every_row_comes_back_from_its_table_as_it_was(drawn: dict[str, list[Any]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, rows in drawn.items():
            hour = Path(folder) / name / HOUR
            hour.mkdir(parents=True)
            (hour / "part-a-0").write_text(to_lines(rows) + "\n")
        with duck.connect(Path(folder)) as connection:
            for name, rows in drawn.items():
                select = f"SELECT {quoted_list(TABLES[name].column_names)} FROM {name}_all"
                found = sorted(map(repr, duck.run(connection, select).rows))
                assert found == sorted(repr(msgspec.structs.astuple(row)) for row in rows)
