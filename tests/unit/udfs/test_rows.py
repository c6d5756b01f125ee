"""A list's row names its user's variant in any case, and the model only where it scored."""

import json

import pytest

from tests.unit.udfs.examples import proposals, scored
from udfs.elements import Candidates, ModelRef
from udfs.lists.list_rows import MadeFrom, recommendation_list_row
from udfs.lists.user_list import Policy, UserList

MODEL = ModelRef("7", "hash", "b")


@pytest.mark.parametrize(
    ("candidates", "told"), [(proposals("x"), ("b", "7", "hash", "scored")), (None, ("b", None, None, "fallback"))]
)
def test_a_row_names_its_variant_and_who_scored(candidates: Candidates | None, told: tuple[str | None, ...]) -> None:
    line = recommendation_list_row(UserList(), scored(candidates), MadeFrom(MODEL, None), Policy.RECOMMEND, (1, 2))
    row = json.loads(line)
    assert (row["variant"], row["model_version"], row["model_hash"], row["source"]) == told


def test_without_any_model_a_row_names_none() -> None:
    row = json.loads(recommendation_list_row(UserList(), scored(None), MadeFrom(None, None), Policy.HISTORY, (1, 2)))
    assert (row["variant"], row["model_version"], row["source"]) == (None, None, "rules")
