"""The definitions, as data and as SQL."""

import re
from pathlib import Path

import pytest

from job.tables import duck
from job.tables.columns import ColumnType
from job.tables.dialect import DUCKDB_TYPES, FLINK_TYPES, for_flink
from job.tables.schema import TABLES, VIEWS


def test_an_empty_folder_gives_every_view_with_its_columns(tmp_path: Path) -> None:
    types = DUCKDB_TYPES | {ColumnType.TIMESTAMP: "TIMESTAMP_MS"}
    with duck.connect(tmp_path) as connection:
        for view in VIEWS:
            described = duck.run(connection, f"DESCRIBE {view.name}").rows
            assert [row[:2] for row in described] == [(each.name, types[each.type]) for each in view.columns]
            assert duck.run(connection, f"SELECT * FROM {view.name}").rows == []


def test_keys_and_orders_name_columns() -> None:
    for view in VIEWS:
        assert {*view.rank_within, *view.newest_first} <= set(view.table.column_names)
        assert view.table.time_column in view.table.column_names


def test_every_column_says_what_it_is() -> None:
    columns = [column for table in TABLES.values() for column in table.columns]
    assert all(column.doc and "\n" not in column.doc for column in columns)


def test_both_engines_name_every_type_of_a_row() -> None:
    assert DUCKDB_TYPES.keys() == FLINK_TYPES.keys() == set(ColumnType) - {ColumnType.TIMESTAMP}


@pytest.mark.parametrize(
    ("standard", "flink"),
    [
        ('select "timestamp" from t', "select `timestamp` from t"),
        ("select 'a \"b\" c'", "select 'a \"b\" c'"),
        ("select 'it''s' as \"x\"", "select 'it''s' as `x`"),
        ('-- "a"\nselect "a""b`c"', '-- "a"\nselect `a"b``c`'),
        ('/* "a" */ select 1', '/* "a" */ select 1'),
    ],
)
def test_names_are_quoted_for_flink_and_texts_are_left(standard: str, flink: str) -> None:
    assert for_flink(standard) == flink


def test_flinks_views_hold_no_double_quotes() -> None:
    from job.tables.lineage import Lineage
    from job.tables.views import create_views

    statements = [for_flink(statement) for statement in create_views(Lineage())]
    assert not any('"' in statement for statement in statements)
    assert all(re.search(r"`(timestamp|minute|snapshot_id|written_at)`", statement) for statement in statements)
