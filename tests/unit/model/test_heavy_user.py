"""One heavy user, and large catalogues: pairs of items, and what a batch of an evaluation holds, are bounded."""

import logging
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from model.datasets.interactions import Interactions, Ints
from model.evaluation import evaluate
from model.evaluation.evaluate import find_targets, rank
from model.networks.recommender import Recommender
from model.recommenders import cooccurrence
from model.recommenders.cooccurrence import common_users, paired_items, strongest, user_item_matrix
from tests.unit.model.test_little_data import crawled
from tests.unit.model.test_training import log_of

pytestmark = pytest.mark.heavy
ITEMS = 7
behaviors = st.lists(st.tuples(st.integers(0, 3), st.integers(1, ITEMS)), min_size=1, max_size=40)


@pytest.fixture(scope="module", autouse=True)
def short_histories() -> Iterator[None]:
    """Histories are cut at four items and blocks hold a few products, so that small logs show both."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cooccurrence, "PAIRED", 4)
        patch.setattr(cooccurrence, "_PRODUCTS_AT_ONCE", 5)
        yield


def in_order(rows: list[tuple[int, int]]) -> Interactions:
    return log_of([(user, item, at) for at, (user, item) in enumerate(rows)], ITEMS)


def newest_four(rows: list[tuple[int, int]]) -> Ints:
    """The newest four items of each of four users, the slow way. (4, n + 1)."""
    met = np.zeros((4, ITEMS + 1), dtype=np.int64)
    for user, item in reversed(rows):
        if met[user].sum() < 4:
            met[user, item] = 1
    return met


@given(behaviors)
def test_pairs_are_of_the_newest_items(rows: list[tuple[int, int]]) -> None:
    met = newest_four(rows)
    found = np.zeros((ITEMS + 1, ITEMS + 1))
    for pairs in common_users(paired_items(in_order(rows))):
        assert not found[pairs.item].any()  # all of an item is in one block
        found[pairs.item, pairs.other] = pairs.users
    assert found.tolist() == (met.T @ met).tolist()


@given(behaviors, st.integers(1, ITEMS))
def test_the_strongest_are_those_of_the_dense_product(rows: list[tuple[int, int]], count: int) -> None:
    log, worth = in_order(rows), np.array([1.0, 0.5, 0.25, 2.0])
    met = newest_four(rows)
    dense = met.T @ (met * worth[:, np.newaxis])
    np.fill_diagonal(dense, 0)
    pairs = common_users(paired_items(log), torch.from_numpy(worth[: log.users]).float())
    near, strength = strongest(pairs, ITEMS, count)
    assert strength.tolist() == (-np.sort(-dense, axis=1)[:, :count]).tolist()
    for item, (others, values) in enumerate(zip(near.tolist(), strength.tolist(), strict=True)):
        assert [dense[item, other] if other else 0.0 for other in others] == values
        assert len({other for other in others if other}) == np.count_nonzero(others)


class Heard(logging.Handler):
    """It keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@given(behaviors)
def test_who_is_cut_is_logged(rows: list[tuple[int, int]]) -> None:
    handler = Heard()
    logger = logging.getLogger(cooccurrence.__name__)
    logger.addHandler(handler)
    try:
        paired_items(in_order(rows))
    finally:
        logger.removeHandler(handler)
    users = {user for user, _ in rows}
    cut = sum(len({item for u, item in rows if u == user}) > 4 for user in users)
    said = [f"Users with more than 4 items: {cut}. Only their newest count in pairs of items."]
    assert [record.getMessage() for record in handler.records] == (said if cut else [])


@pytest.mark.parametrize("pages", [2_000, 4_000])
def test_pairs_of_a_crawler_are_few(pages: int) -> None:
    log = crawled(pages)
    met = user_item_matrix(log)
    assert int(torch.sparse.sum(met, 1).to_dense().max()) == pages
    assert sum(len(pairs.item) for pairs in common_users(paired_items(log))) <= 21 * 4**2


class Measuring(Recommender):
    """It scores all items alike, and notes what it was asked at once."""

    def __init__(self, items: int) -> None:
        super().__init__(items, 5)
        self.width = items + 1
        self.cells: list[int] = []

    def scores(self, history: Tensor, weight: Tensor, age_s: Tensor) -> Tensor:
        self.cells.append(len(history) * self.width)
        return torch.zeros((len(history), self.width))


@pytest.mark.parametrize("pages", [1_000, 2_000, 4_000])
def test_a_batch_holds_as_many_scores_whatever_the_catalogue(pages: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate, "_CELLS", 20_000)
    log = crawled(pages)
    targets = find_targets(log, int(log.timestamp[-400]), 5)
    model = Measuring(pages)
    ranking = rank(model, targets)
    assert len(ranking.rank) == len(targets) > 40
    assert 10_000 < max(model.cells) <= 20_000
