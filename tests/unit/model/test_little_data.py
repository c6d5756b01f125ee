"""One heavy user costs little in evaluation, and is not most of it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.datasets.interactions import CutOffError, Interactions, checked_cut_off
from model.evaluation.evaluate import fair_limit, find_targets

pytestmark = pytest.mark.heavy


def log_of(user: list[int], item: list[int]) -> Interactions:
    rows = len(user)
    return Interactions(
        user=np.array(user),
        item=np.array(item),
        weight=np.ones(rows, dtype=np.float32),
        in_history=np.ones(rows, dtype=np.bool_),
        timestamp=np.arange(rows) + 1_700_000_000_000,
        users=max(user) + 1,
        vocabulary=tuple(map(str, range(max(item)))),
    )


def crawled(pages: int) -> Interactions:
    """A crawler that opens every page once, and 20 people beside it."""
    people = [(1 + n // 10 % 20, 1 + n // 10 * 13 % pages) for n in range(0, pages, 10)]
    rows = [(0, n + 1) for n in range(pages)]
    for place, row in enumerate(people):
        rows.insert(place * 11, row)
    return log_of(*map(list, zip(*rows, strict=True)))


def test_what_a_crawler_has_met_is_kept_once() -> None:
    log = crawled(20_000)
    targets = find_targets(log, int(log.timestamp[-4_000]), 5, per_user=3_000)
    assert (targets.user == 0).sum() > 2_000
    assert len({id(seen.base) for seen, user in zip(targets.seen, targets.user, strict=True) if user == 0}) == 1


def test_a_crawler_is_not_most_of_the_targets() -> None:
    log = crawled(5_000)
    targets = find_targets(log, int(log.timestamp[-2_000]), 5)
    assert 0 < (targets.user == 0).sum() < len(targets) / 2


@given(st.lists(st.integers(1, 10_000), min_size=1, max_size=60))
def test_the_limit_is_a_tenth_or_three_times_the_median(counts: list[int]) -> None:
    limit = fair_limit(np.array(counts))
    left = np.minimum(counts, limit)
    assert limit <= max(0.1 * left.sum(), 3 * np.median(counts), 1)
    assert limit >= min(max(counts), int(3 * np.median(counts)))


def test_even_users_are_left_as_they_are() -> None:
    assert fair_limit(np.array([4, 5, 6])) >= 6
    assert fair_limit(np.array([30] * 20)) >= 30


@pytest.mark.parametrize(("cut_off", "unit"), [(1_700_000_000, "seconds"), (1_700_000_000_000_000, "microseconds")])
def test_a_cut_off_in_another_unit_is_told(cut_off: int, unit: str) -> None:
    with pytest.raises(CutOffError, match=f"looks like {unit}: give --cut-off 1700000000000"):
        checked_cut_off(crawled(20), cut_off)
