"""Trends: recent weight over all users, exact however long the log and whatever its order."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.udfs.default_rules import TRENDS
from udfs.trends.trends import Trends

HOUR_MS = 3_600_000
RULES = replace(TRENDS, half_life_ms=HOUR_MS, capacity=3, size=10)
START_MS = 1_700_000_000_000

Act = tuple[str, float, int]
"""An item, its act's weight, and how many hours after the start it was done."""


def after(*acts: Act) -> Trends:
    trends = Trends()
    for item, weight, hours in acts:
        trends.add(item, weight, START_MS + hours * HOUR_MS, RULES)
    return trends


def test_the_strongest_item_has_strength_1_and_comes_first() -> None:
    assert list(after(("a", 1, 0), ("b", 4, 0)).strongest(5).items()) == [("b", 1.0), ("a", 0.25)]


def test_weights_of_an_item_add_up() -> None:
    assert after(("a", 1, 0), ("b", 2, 0), ("a", 3, 0)).strongest(5) == {"a": 1.0, "b": 0.5}


def test_after_a_half_life_an_act_counts_half() -> None:
    assert after(("old", 1, 0), ("new", 1, 1)).strongest(5) == {"new": 1.0, "old": 0.5}


def test_a_late_act_counts_as_if_it_had_come_in_time() -> None:
    assert after(("new", 1, 1), ("old", 1, 0)).strongest(5) == {"new": 1.0, "old": 0.5}


def test_no_more_items_are_told_than_asked_for() -> None:
    assert list(after(("a", 1, 0), ("b", 2, 0), ("c", 3, 0)).strongest(2)) == ["c", "b"]


def test_nothing_is_trending_before_anybody_acts() -> None:
    assert Trends().strongest(5) == {}


def test_twice_the_capacity_is_kept() -> None:
    trends = after(*((item, 1.0, 0) for item in "abcdef"))
    assert (trends.prune(RULES), len(trends.sums)) == ([], 6)


def test_beyond_twice_the_capacity_the_weakest_are_forgotten_and_named() -> None:
    trends = after(*((item, float(weight), 0) for weight, item in enumerate("abcdefg", start=1)))
    assert sorted(trends.prune(RULES)) == list("abcd")
    assert set(trends.sums) == set("efg")


acts = st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from([0.5, 1, 5]), st.integers(0, 500)), min_size=1)


@given(acts)
def test_strengths_are_the_decayed_sums(done: list[Act]) -> None:
    now = max(hours for _, _, hours in done)
    sums = dict.fromkeys([item for item, _, _ in done], 0.0)
    for item, weight, hours in done:
        sums[item] += weight * 2.0 ** (hours - now)
    top = max(sums.values())
    strengths = after(*done).strongest(9)
    assert strengths == pytest.approx({item: total / top for item, total in sums.items()}, abs=1e-9)


@given(acts, st.randoms())
def test_the_order_of_acts_does_not_matter(done: list[Act], draw: Random) -> None:
    assert after(*draw.sample(done, len(done))).strongest(9) == pytest.approx(after(*done).strongest(9), abs=1e-9)


@given(acts)
def test_all_sums_stay_numbers_over_years(done: list[Act]) -> None:
    trends = after(*((item, weight, hours * 200) for item, weight, hours in done))
    assert all(0 <= strength <= 1 for strength in trends.strongest(9).values())
