"""When two lists count as the same."""

from dataclasses import replace

import pytest

from job.explain.same_lists import SeenList, difference

SCORES = (1.0, 0.500004, 0.5, 0.2)
LIST = SeenList(0, 1, "u", 3, 3, ("a", "b", "c", "d"), SCORES, ("model", "because:x", "model", "model"), 1)


def changed(items: str, scores: tuple[float, ...] = SCORES, reasons: tuple[str, ...] = LIST.reasons) -> SeenList:
    return replace(LIST, items=tuple(items), scores=scores, reasons=reasons)


@pytest.mark.parametrize(
    "other",
    [
        LIST,
        changed("abcd", (1.0, 0.500004, 0.500001, 0.2)),
        changed("acbd", reasons=("model", "model", "because:x", "model")),
    ],
    ids=["equal", "a hair off", "close items swapped"],
)
def test_the_same(other: SeenList) -> None:
    assert difference(LIST, other) is None
    assert difference(other, LIST) is None


@pytest.mark.parametrize(
    "other",
    [
        changed("abcd", (1.0, 0.50002, 0.5, 0.2)),
        changed("bacd", reasons=("because:x", "model", "model", "model")),
        changed("acbd"),
        changed("abed"),
        changed("abce", (1.0, 0.500004, 0.5, 0.200003)),
        replace(LIST, user_seq=4),
        changed("abc", SCORES[:3], LIST.reasons[:3]),
    ],
    ids=[
        "scores apart",
        "far items swapped",
        "swapped reasons",
        "another item",
        "another at the end",
        "user_seq",
        "length",
    ],
)
def test_not_the_same(other: SeenList) -> None:
    assert difference(LIST, other)


def test_what_fills_a_list_may_not_swap() -> None:
    filled = replace(LIST, scores=(1.0, 0.5, 0.0, 0.0), reasons=("model", "model", "popular", "popular"))
    assert difference(filled, replace(filled, items=("a", "b", "d", "c")))


def test_an_item_that_is_shown_twice_is_no_swap() -> None:
    assert difference(changed("accd", reasons=("model",) * 4), changed("abcd", reasons=("model",) * 4))
