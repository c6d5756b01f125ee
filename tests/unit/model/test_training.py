"""Training and evaluation on logs small enough to know the answer."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.bundles.export import most_popular
from model.datasets.interactions import Interactions, cut_off_at, training_vocabulary
from model.evaluation.evaluate import evaluate, find_targets
from model.networks.sasrec import SASRecConfig
from model.recommenders.neighbors import nearest_neighbors
from model.recommenders.popularity import Popularity
from model.training.train import TrainConfig, train
from model.training.windows import draw_windows

pytestmark = pytest.mark.heavy
ITEMS = 12
TINY = SASRecConfig(items=ITEMS, history_length=6, dim=16, layers=1, heads=1, dropout=0.0, k=10)


def log_of(rows: list[tuple[int, int, int]], items: int = ITEMS) -> Interactions:
    """A log of clicks from (user, item, time), in time order."""
    user, item, time = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
    return Interactions(
        user=user,
        item=item,
        weight=np.ones(len(rows), dtype=np.float32),
        in_history=np.ones(len(rows), dtype=np.bool_),
        timestamp=time,
        users=int(user.max()) + 1,
        vocabulary=tuple(f"i{n}" for n in range(1, items + 1)),
    )


def cycles(users: int, length: int) -> Interactions:
    """The planted pattern: everyone walks round the items, each from another start."""
    return log_of([(u, (u + t) % ITEMS + 1, t) for t in range(length) for u in range(users)])


def test_the_planted_pattern_is_learned() -> None:
    log = cycles(users=24, length=9)
    model = train(log.before(7), TINY, TrainConfig(epochs=25, batch_size=12, learning_rate=2e-2))
    targets = find_targets(log, 7, TINY.history_length)
    assert evaluate(model, targets).known.ndcg_10 > 0.9
    baseline = Popularity(log.before(7).counts(), TINY.k)
    assert evaluate(baseline, targets).known.ndcg_10 < 0.7


def test_training_twice_gives_the_same_model() -> None:
    training = TrainConfig(epochs=1)
    first, second = (train(cycles(6, 5), TINY, training).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_log_without_sequences_is_refused() -> None:
    with pytest.raises(ValueError, match="no user has two"):
        train(log_of([(0, 1, 1), (1, 2, 2)]), TINY, TrainConfig(epochs=1))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(2, 40), min_size=1, max_size=4), st.integers(2, 9), st.integers(0, 99))
def test_windows_make_every_item_but_the_first_a_target_once(lengths: list[int], length: int, seed: int) -> None:
    sequences = [np.arange(1, n + 1) + 100 * k for k, n in enumerate(lengths)]
    windows = draw_windows(sequences, length, np.random.default_rng(seed))
    inputs, targets = windows[:, :-1], windows[:, 1:]
    assert windows.shape[1] == length + 1
    assert sorted(targets[inputs > 0].tolist()) == sorted(i for s in sequences for i in s[1:].tolist())


def test_a_target_sees_only_what_was_before_it() -> None:
    log = log_of([(0, 1, 1000), (0, 2, 2000), (0, 3, 3000), (0, 2, 4000)])
    targets = find_targets(log, 2000, 3)
    assert targets.target.tolist() == [2, 3]  # the repeated item is no target
    assert targets.history.tolist() == [[0, 0, 1], [0, 1, 2]]
    assert targets.age_s.tolist() == [[0, 0, 1], [0, 2, 1]]
    assert [seen.tolist() for seen in targets.seen] == [[1], [1, 2]]


def test_new_users_count_for_everyone_only() -> None:
    log = log_of([(0, 1, 1), (0, 2, 5), (1, 1, 6), (1, 2, 7)])
    result = evaluate(Popularity(log.counts(), 10), find_targets(log, 5, 3))
    assert (result.known.targets, result.everyone.targets) == (1, 2)
    assert result.everyone.hr_10 == 1.0


def test_an_unknown_target_is_a_miss() -> None:
    log = log_of([(0, 1, 1), (0, 2, 2), (0, 3, 5)])
    vocabulary = training_vocabulary(log.before(5))
    known = log.with_vocabulary(vocabulary)
    result = evaluate(Popularity(known.before(5).counts(), 10), find_targets(known, 5, 3))
    assert vocabulary == ("i1", "i2")
    assert (result.known.targets, result.known.hr_10) == (1, 0.0)


def test_disliked_items_stay_out_of_histories() -> None:
    log = replace(cycles(1, 4), in_history=np.array([True, False, True, True]))
    assert log.histories().item.tolist() == [1, 3, 4]


@pytest.mark.parametrize(("share", "cut_off"), [(0.5, 2), (1.0, 4)])
def test_the_cut_off_leaves_its_share_before_it(share: float, cut_off: int) -> None:
    assert cut_off_at(cycles(1, 4), share) == cut_off


def test_neighbours_are_the_nearest_and_never_the_item_itself() -> None:
    table = nearest_neighbors(torch.tensor([[0.0, 0], [1, 0], [1, 0.1], [-1, 0]]), 5)
    assert table.tolist() == [[0] * 5, [2, 3, 0, 0, 0], [1, 3, 0, 0, 0], [2, 1, 0, 0, 0]]


def test_popularity_counts_histories_best_first() -> None:
    log = log_of([(0, 2, 1), (1, 2, 2), (0, 1, 3)])
    assert most_popular(log) == (("i2", 2), ("i1", 1))
