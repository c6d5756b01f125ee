"""Off-policy estimates: against plain sums, against policies whose value is known, and on lists that were explored."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from job.off_policy import NothingExploredError, of_lists, of_open_bandit
from model.actions import DEFAULT_ACTIONS
from model.datasets.open_bandit import read_prior, thompson_sampling
from model.evaluation.off_policy import Logged, cross_fitted, estimate
from tests.unit.tables.rows import HOUR, behavior, commit, made_list
from udfs.lists.entries import Entry, reason_text
from udfs.lists.explore import explored

rows = st.lists(
    st.tuples(st.floats(0, 1), st.floats(0.01, 20), st.floats(0, 1), st.floats(0, 1), st.integers(0, 3)), min_size=1
)


def logged(found: Sequence[tuple[float, float, float, float, int]]) -> Logged:
    reward, weight, expected, instead, cluster = (np.array(column) for column in zip(*found, strict=True))
    return Logged(reward, weight, expected, instead, cluster)


@settings(max_examples=15, deadline=None)
@given(rows)
def test_estimates_are_the_plain_sums(found: list[tuple[float, float, float, float, int]]) -> None:
    got = estimate(logged(found))
    count, weights = len(found), sum(row[1] for row in found)
    assert got.ips.value == pytest.approx(sum(w * r for r, w, *_ in found) / count)
    assert got.self_normalised.value == pytest.approx(sum(w * r for r, w, *_ in found) / weights)
    assert got.doubly_robust.value == pytest.approx(sum(t + w * (r - q) for r, w, q, t, _ in found) / count)
    assert got.ips.low <= got.ips.high


def test_estimates_find_a_policy_that_was_never_used() -> None:
    """Two actions with rewards of 0.1 and 0.5, logged 3 to 1; the target takes the second always."""
    random = np.random.default_rng(1)
    action = (random.random(20_000) < 0.25).astype(np.int64)
    reward = (random.random(20_000) < np.where(action, 0.5, 0.1)).astype(np.float64)
    weight, fold = np.where(action, 4.0, 0.0), np.arange(20_000) % 2
    mean = cross_fitted(action, reward, fold, 10.0)
    got = estimate(Logged(reward, weight, mean[fold, action], mean[fold, 1], np.arange(20_000)))
    for each in (got.ips, got.self_normalised, got.doubly_robust):
        assert each.low < 0.5 < each.high
    assert got.doubly_robust.high - got.doubly_robust.low < got.ips.high - got.ips.low
    wrong = np.full(20_000, 0.9)
    misled = estimate(Logged(reward, weight, wrong, wrong, np.arange(20_000))).doubly_robust
    assert misled.low < 0.5 < misled.high


def test_means_are_learned_outside_of_their_fold() -> None:
    kind, reward, fold = np.array([0, 0, 0]), np.array([1.0, 0.0, 0.0]), np.array([0, 1, 1])
    mean = cross_fitted(kind, reward, fold, 1.0)
    assert mean[:, 0].tolist() == [0.0, 1.0]


def test_a_target_that_shows_nothing_logged_has_no_self_normalised_value() -> None:
    nothing = logged([(1.0, 0.0, 0.0, 0.0, 0), (0.0, 0.0, 0.0, 0.0, 1)])
    assert np.isnan(estimate(nothing).self_normalised.value)


def test_sampling_shows_each_place_one_item(tmp_path: Path) -> None:
    text = "all:\n  alpha:\n" + "    - 2.0\n" * 80 + "  beta:\n" + "    - 3.0\n" * 80 + "men:\n  alpha:\n    - 1.0\n"
    (tmp_path / "prior").write_text(text)
    shown = thompson_sampling(*read_prior(tmp_path / "prior"), draws=2_500)
    assert shown.shape == (80, 3)
    assert shown.sum(0) == pytest.approx([1, 1, 1])


def test_what_lists_would_have_got_without_exploring(tmp_path: Path) -> None:
    """Users take the first item of the model's list in 4 of 10 cases, and no explored one."""
    random = np.random.default_rng(2)
    lists, acts = list[dict[str, object]](), list[dict[str, object]]()
    best: list[Entry] = [(-1.0, "a", 0), (-0.5, "b", 0)]
    for number in range(1_500):
        user = f"u{number}"
        drawn = explored(best, "wxyz", 0.3, f"{user}/1")
        items = [item for _, item, _ in drawn.entries]
        row = made_list(1, items, user=user) | {"propensities": drawn.propensities}
        lists.append(row | {"reasons": [reason_text(reason) for *_, reason in drawn.entries]})
        takes = items[0] == "a" and random.random() < 0.4
        acts.append(behavior(number, user=user, item="a" if takes else "other") | {"user_seq": 2})
    commit(tmp_path / "recommendation_lists" / HOUR, "part-l-0", lists)
    commit(tmp_path / "user_behavior" / HOUR, "part-b-0", acts)
    was, without = of_lists(tmp_path, DEFAULT_ACTIONS)
    assert was.rewards == 3_000
    assert was.estimates.ips.value == was.known
    for each in (without.estimates.ips, without.estimates.self_normalised, without.estimates.doubly_robust):
        assert each.low < 0.2 < each.high  # 0.4 at the first of two places
        assert each.value > was.estimates.ips.value


def test_lists_without_exploring_are_refused(tmp_path: Path) -> None:
    commit(tmp_path / "recommendation_lists" / HOUR, "part-l-0", [made_list(1, ["a"])])
    commit(tmp_path / "user_behavior" / HOUR, "part-b-0", [behavior(0) | {"user_seq": 2}])
    with pytest.raises(NothingExploredError, match="explore_share"):
        of_lists(tmp_path, DEFAULT_ACTIONS)


@pytest.mark.slow
def test_the_open_bandit_data_give_the_published_value() -> None:
    """obp's documentation: the sampling policy's value by IPS is 1.198126 times that of the random one."""
    first, *_ = of_open_bandit(Path(".recloop/cache").absolute())
    assert (first.log, first.policy) == ("random", "bts")
    assert first.estimates.ips.value / 0.0038 == pytest.approx(1.198126, abs=1e-6)
