"""The domain's three records: fields are never renamed, retyped or taken away; new ones are optional."""

from dataclasses import MISSING, fields
from typing import get_type_hints

import pytest

from model.records import PredictionResult, RecommendationList, UserBehavior

Field = tuple[str, object, bool]
"""Name, type, and whether it may be left out."""

GOLDEN: dict[type, list[Field]] = {
    UserBehavior: [
        ("user_id", str, False),
        ("action", str, False),
        ("item_id", str, False),
        ("timestamp", int, False),
        ("event_id", str | None, True),
        ("request_id", str | None, True),
        ("position", int | None, True),
    ],
    PredictionResult: [("user_id", str, False), ("item_id", str, False), ("score", float, False)],
    RecommendationList: [("user_id", str, False), ("items", tuple[str, ...], False)],
}


@pytest.mark.parametrize("record", GOLDEN, ids=lambda record: record.__name__)
def test_the_records_fields_are_frozen(record: type) -> None:
    types = get_type_hints(record)
    found = [(each.name, types[each.name], each.default is not MISSING) for each in fields(record)]
    assert found == GOLDEN[record]


def test_what_is_left_out_is_none() -> None:
    behavior = UserBehavior("u", "click", "i", 1)
    assert (behavior.event_id, behavior.request_id, behavior.position) == (None, None, None)
