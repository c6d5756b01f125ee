"""`recloop ab report` calls chance a winner in 7 of 100 tests at most, and finds what is there.

In every simulated test users are dealt over two variants by a coin; users' tastes and how much they do are drawn. In an
A/A test both variants serve the same.
"""

import json
from collections.abc import Callable
from math import hypot
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from typer.testing import CliRunner

from job.ab_statistics import ALPHA, Estimate, Shares, always_valid, dealt_anew, difference, mean_share
from job.cli import app
from tests.unit.tables.rows import HOUR, behavior, commit, made_list

pytestmark = pytest.mark.heavy
Counts = npt.NDArray[np.int64]
Activity = Callable[[np.random.Generator, int], Counts]
DRAWS = 199
A_A_TESTS = 400
MOST_FALSE = 0.07


def poisson(draw: np.random.Generator, users: int) -> Counts:
    return draw.poisson(10, users) + 1


def lognormal(draw: np.random.Generator, users: int) -> Counts:
    return draw.lognormal(1.0, 2.0, users).astype(np.int64) + 1


def pareto(draw: np.random.Generator, users: int) -> Counts:
    return np.minimum(draw.pareto(1.1, users) + 1, 1e6).astype(np.int64)


def crawler(draw: np.random.Generator, users: int) -> Counts:
    return np.append(poisson(draw, users - 1), 20_000)


ACTIVITIES = pytest.mark.parametrize("activity", [poisson, lognormal, pareto, crawler])


def drawn_test(
    draw: np.random.Generator, users: int, activity: Activity, lift: float = 0.0, share: float = 0.5
) -> tuple[Shares, Shares]:
    """Users' shares of hits, of the variant that is better by `lift` and of the other."""
    behaviors = activity(draw, users)
    better = draw.random(users) < share
    tastes = draw.beta(1, 9, users) + lift * better
    tastes = np.where(behaviors >= 20_000, draw.random(users), tastes)  # a crawler's is anything
    shares = draw.binomial(behaviors, np.minimum(tastes, 1)) / behaviors
    return shares[better], shares[~better]


def false_winners(users: int, activity: Activity, *, share: float = 0.5) -> tuple[float, float]:
    """In what part of A/A tests the one look that was fixed beforehand, and any look, names a winner."""
    draw = np.random.default_rng(12)
    once = always = 0
    for _ in range(A_A_TESTS):
        shares, baseline = drawn_test(draw, users, activity, share=share)
        gap = difference(shares, baseline, once=True, draws=DRAWS)
        once += names_winner(gap)
        always += names_winner(valid_always(gap))
    return once / A_A_TESTS, always / A_A_TESTS


def valid_always(gap: Estimate) -> Estimate:
    """The same, as `difference` gives it without `once`."""
    if gap.error is None or gap.reach is None:
        return gap
    return Estimate(gap.value, gap.error, max(gap.reach, always_valid(gap.error, ALPHA)))


def names_winner(gap: Estimate) -> bool:
    return gap.interval is not None and not gap.interval[0] <= 0 <= gap.interval[1]


@ACTIVITIES
@pytest.mark.parametrize(("users", "share"), [(30, 0.5), (200, 0.2)])
def test_chance_is_called_a_winner_in_7_of_100_tests_at_most(activity: Activity, users: int, share: float) -> None:
    once, always = false_winners(users, activity, share=share)
    assert once <= MOST_FALSE
    assert always <= MOST_FALSE


def running_gaps(shares: Shares, better: npt.NDArray[np.bool_], looks: range) -> tuple[Shares, Shares]:
    """float[tests, looks] differences and their errors, where users come one after the other."""
    at = np.array(looks) - 1
    means, variances = [], []
    for side in (better, ~better):
        n = np.cumsum(side, axis=1)[:, at]
        total, squares = (np.cumsum(side * power, axis=1)[:, at] for power in (shares, shares**2))
        means.append(total / n)
        variances.append((squares / n - means[-1] ** 2) / (n - 1))
    return means[0] - means[1], np.sqrt(variances[0] + variances[1])


@ACTIVITIES
def test_whoever_looks_after_every_40_users_is_not_misled_either(activity: Activity) -> None:
    draw = np.random.default_rng(5)
    tests, users = 400, 1_600
    behaviors = np.array([activity(draw, users) for _ in range(tests)])
    shares = draw.binomial(behaviors, draw.beta(1, 9, behaviors.shape)) / behaviors
    gaps, errors = running_gaps(shares, draw.random(shares.shape) < 0.5, range(40, users + 1, 40))
    errors = np.maximum(errors, 1e-6)  # of a few users that are all alike it is 0
    reach = np.vectorize(always_valid)(errors, ALPHA)
    assert (np.abs(gaps) > reach * errors).any(axis=1).mean() <= MOST_FALSE
    assert (np.abs(gaps) > 1.96 * errors).any(axis=1).mean() > 0.2  # so it does mislead with the other interval


def test_nor_is_who_looks_while_the_same_users_go_on() -> None:
    draw = np.random.default_rng(6)
    tests, users, looks = 300, 200, 60
    tastes = draw.beta(1, 9, (tests, users, 1))
    behaviors = draw.poisson(2.0, (tests, users, looks)) + (np.arange(looks) == 0)
    hits = draw.binomial(behaviors, tastes)
    shares = hits.cumsum(axis=2) / behaviors.cumsum(axis=2)
    one, other = shares[:, : users // 2], shares[:, users // 2 :]
    gaps = one.mean(axis=1) - other.mean(axis=1)
    errors = np.sqrt((one.var(axis=1, ddof=1) + other.var(axis=1, ddof=1)) / (users / 2))
    reach = np.vectorize(always_valid)(errors, ALPHA)
    assert (np.abs(gaps) > reach * errors).any(axis=1).mean() <= MOST_FALSE


@ACTIVITIES
def test_a_real_difference_is_found(activity: Activity) -> None:
    draw = np.random.default_rng(9)
    found = [difference(*drawn_test(draw, 4_000, activity, lift=0.05), draws=199) for _ in range(20)]
    assert sum(names_winner(gap) for gap in found) >= 18
    assert all(gap.value > 0 for gap in found)


def test_looking_once_needs_fewer_users() -> None:
    draw = np.random.default_rng(9)
    gaps = [difference(*drawn_test(draw, 1_200, poisson, lift=0.02), once=True, draws=DRAWS) for _ in range(40)]
    assert sum(map(names_winner, gaps)) > sum(names_winner(valid_always(gap)) for gap in gaps) + 5


def test_of_several_variants_one_is_a_winner_by_chance_no_more_often() -> None:
    draw = np.random.default_rng(2)
    wrong = 0
    for _ in range(A_A_TESTS):
        shares, baseline = drawn_test(draw, 200, poisson, share=0.8)
        several = np.array_split(shares, 4)
        wrong += any(
            names_winner(difference(each, baseline, comparisons=4, once=True, draws=DRAWS)) for each in several
        )
    assert wrong / A_A_TESTS <= MOST_FALSE


SHARES = arrays(np.float64, st.integers(0, 6), elements=st.sampled_from([0.0, 0.25, 0.5, 1.0]))


@given(SHARES, SHARES)
def test_an_interval_is_there_or_it_is_not_and_never_nonsense(shares: Shares, baseline: Shares) -> None:
    for once in (True, False):
        gap = difference(shares, baseline, once=once)
        if gap.interval is None:
            assert min(len(shares), len(baseline)) < 2 or hypot(shares.std(), baseline.std()) == 0
        else:
            low, high = gap.interval
            assert low < gap.value < high
    # Of so few users no deal is among the rarest 5 %.
    if len(shares) + len(baseline) <= 5:
        assert not names_winner(difference(shares, baseline, once=True))


def test_a_rates_interval_is_of_users_and_none_where_they_tell_nothing() -> None:
    assert mean_share(np.array([])).interval is None
    assert mean_share(np.array([0.0, 0.0, 0.0])).interval is None
    draw = np.random.default_rng(7)
    held = 0
    for _ in range(400):
        tastes, n = draw.beta(0.5, 4.5, 150), draw.geometric(1 / 30, 150)
        interval = mean_share(draw.binomial(n, tastes) / n, once=True).interval
        assert interval is not None
        held += interval[0] <= 0.1 <= interval[1]
    assert 0.91 < held / 400 < 0.98


def test_the_bound_by_dealing_anew_nears_the_normal_ones_with_many_users() -> None:
    draw = np.random.default_rng(4)
    assert dealt_anew(draw.random(3_000), draw.random(3_000), ALPHA) == pytest.approx(1.96, abs=0.12)


@pytest.mark.parametrize(("hits_of_new", "verdict"), [(1, "undecided"), (6, "better")])
def test_drawn_rows_with_a_crawler_give_the_right_winner(tmp_path: Path, hits_of_new: int, verdict: str) -> None:
    """From rows of the tables to the winner: 600 users who act 10 times, and a crawler of 20,000, all of them hits."""
    draw = np.random.default_rng(1)
    acted, lists = [], []
    for number, variant in enumerate(draw.permutation(["new", "old"] * 300)):
        shown = made_list(1, ["hit"], user=f"u{number}") | {"variant": str(variant)}
        lists.append(shown)
        hits = draw.binomial(10, (hits_of_new if variant == "new" else 1) / 20)
        items = ["hit"] * hits + ["other"] * (10 - hits)
        acted += [behavior(seq + 1, user=f"u{number}", item=item) for seq, item in enumerate(items)]
    lists.append(made_list(1, ["hit"], user="crawler") | {"variant": "new"})
    acted += [behavior(seq + 1, user="crawler", item="hit") for seq in range(20_000)]
    # Rows are told apart by their place in the log.
    rows = [row | {"log_offset": offset} for offset, row in enumerate(acted)]
    commit(tmp_path / "user_behavior" / HOUR, "part-a-0", rows)
    commit(tmp_path / "recommendation_lists" / HOUR, "part-a-0", lists)
    arguments = ["ab", "report", "--tables-dir", str(tmp_path), "--dir", str(tmp_path), "--baseline", "old", "--json"]
    old, new = json.loads(CliRunner().invoke(app, arguments).output)["variants"]
    assert (old["variant"], new["behaviors"] > 20_000) == ("old", True)
    assert new["verdict"] == verdict
