"""The rows the job writes have the columns of the definitions."""

import types
import typing

import msgspec
import pytest

from job.tables.columns import ColumnType
from job.tables.schema import TABLES
from udfs import rows

WRITTEN: dict[str, type[msgspec.Struct]] = {
    "user_behavior": rows.UserBehaviorRow,
    "recommendation_lists": rows.RecommendationListRow,
    "prediction_results": rows.PredictionResultRow,
    "dead_letters": rows.DeadLetterRow,
    "feedback_metrics": rows.FeedbackMetricsRow,
    "trend_snapshots": rows.TrendSnapshotRow,
    "model_swaps": rows.ModelSwapRow,
    "attempts": rows.AttemptRow,
}
PYTHON_TYPES: dict[ColumnType, object] = {
    ColumnType.STRING: str,
    ColumnType.INT: int,
    ColumnType.LONG: int,
    ColumnType.DOUBLE: float,
    ColumnType.BOOLEAN: bool,
    ColumnType.STRINGS: list[str],
    ColumnType.DOUBLES: list[float],
}


@pytest.mark.parametrize("name", TABLES)
def test_a_row_has_the_tables_columns_in_their_order(name: str) -> None:
    fields = [(each.name, *_type(each.type)) for each in msgspec.structs.fields(WRITTEN[name])]
    assert fields == [(each.name, PYTHON_TYPES[each.type], each.nullable) for each in TABLES[name].columns]


def _type(annotation: object) -> tuple[object, bool]:
    if not isinstance(annotation, types.UnionType):
        return annotation, False
    (kind,) = (each for each in typing.get_args(annotation) if each is not types.NoneType)
    return kind, True
