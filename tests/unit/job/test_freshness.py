"""Percentiles of a histogram's counts."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job.deployment.freshness import percentile

BOUNDS = (10.0, 100.0, 1_000.0, math.inf)


def counts(values: list[float]) -> dict[float, int]:
    return {bound: sum(value <= bound for value in values) for bound in BOUNDS}


@given(
    st.lists(st.floats(0, 900), max_size=30), st.lists(st.floats(0, 900), min_size=1, max_size=30), st.floats(0.01, 1)
)
def test_it_lies_between_the_bounds_of_the_value_of_that_rank(
    earlier: list[float], values: list[float], share: float
) -> None:
    found = percentile(counts(earlier), counts([*earlier, *values]), share)
    exact = sorted(values)[math.ceil(share * len(values)) - 1]
    low = max((bound for bound in (0.0, *BOUNDS) if bound < exact), default=0.0)
    high = min(bound for bound in BOUNDS if bound >= exact)
    assert found is not None
    assert low <= found <= high


def test_where_nothing_was_counted_there_is_none() -> None:
    assert percentile({}, {}, 0.5) is None
    assert percentile(counts([5]), counts([5]), 0.5) is None


def test_counts_that_fell_begin_at_zero() -> None:
    assert percentile(counts([5] * 9), counts([50] * 2), 0.5) == pytest.approx(55)


def test_above_the_highest_bound_it_is_that_bound() -> None:
    assert percentile({}, counts([5_000]), 0.95) == 1_000
