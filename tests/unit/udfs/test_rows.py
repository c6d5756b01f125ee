"""The rows: what a list's says it was made from, and how any becomes a line."""

import json
from array import array
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.udfs.examples import proposals, scored
from udfs.elements import Candidates, ModelRef
from udfs.lists.list_rows import recommendation_list_row
from udfs.lists.list_rules import Policy
from udfs.lists.user_list import UserList
from udfs.log.log_rows import dead_letter_row
from udfs.log.parsing import DeadLetter, LogRecord, Reason
from udfs.rows import RecommendationListRow, Row, to_lines

MODEL = ModelRef("7", "hash", "b")


@pytest.mark.parametrize(
    ("candidates", "named"), [(proposals("x"), ("b", "7", "hash", "scored")), (None, ("b", None, None, "fallback"))]
)
def test_a_row_names_its_variant_and_who_scored(candidates: Candidates | None, named: tuple[str | None, ...]) -> None:
    row = row_of(candidates, Policy.RECOMMEND, MODEL)
    assert (row.variant, row.model_version, row.model_hash, row.source) == named


def test_without_any_model_a_row_names_none() -> None:
    row = row_of(None, Policy.HISTORY, None)
    assert (row.variant, row.model_version, row.source) == (None, None, "rules")


def test_a_list_that_was_too_young_to_be_made_anew_names_no_model_that_scored_it() -> None:
    row = row_of(proposals("x"), Policy.RECOMMEND, MODEL, is_held=True)
    assert (row.variant, row.model_version, row.source) == ("b", None, "rules")
    assert row_of(None, Policy.RECOMMEND, MODEL, is_held=True).source == "fallback"


def test_a_row_has_propensities_only_where_something_is_explored() -> None:
    made = UserList(items=["a"], propensities=array("d", [0.05]))
    rows = (row_of(None, Policy.RECOMMEND, MODEL, user_list=each) for each in (UserList(), made))
    assert [row.propensities for row in rows] == [None, [0.05]]


def row_of(
    candidates: Candidates | None,
    policy: Policy,
    model: ModelRef | None,
    *,
    is_held: bool = False,
    user_list: UserList | None = None,
) -> RecommendationListRow:
    return recommendation_list_row(
        user_list or UserList(),
        scored(candidates),
        policy,
        is_held=is_held,
        model=model,
        trend_snapshot=None,
        now_ms=1,
        epoch=2,
    )


@pytest.mark.parametrize("kind", get_args(Row))
def test_a_row_is_built_with_keywords_alone(kind: Any) -> None:
    names: tuple[str, ...] = kind.__struct_fields__
    assert json.loads(to_lines([kind(**dict.fromkeys(names))])) == dict.fromkeys(names)
    with pytest.raises(TypeError, match="positional"):
        kind(*names)


@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"]))))
def test_each_row_is_one_line_whatever_its_texts_hold(texts: list[str]) -> None:
    lines = to_lines([dead_letter_row(letter(detail), now_ms=1, epoch=2) for detail in texts])
    assert [json.loads(line)["detail"] for line in lines.split("\n") if line] == texts
    assert lines == "\n".join(to_lines([dead_letter_row(letter(detail), now_ms=1, epoch=2)]) for detail in texts)


def letter(detail: str) -> DeadLetter:
    return DeadLetter(LogRecord(0, 0, b"", 0), Reason.NOT_JSON, detail)
