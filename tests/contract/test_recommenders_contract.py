"""Every recommender keeps the one contract, as it is trained and as it is exported."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.bundles.torchscript import load_script, save_script
from model.networks.recommender import Recommender
from model.recommenders.kinds import KINDS
from tests.unit.model.planted import ITEMS, LIBRARIES, learned
from udfs.scoring.device import OnCpu

Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]
Pair = tuple[Recommender, torch.nn.Module]

histories = st.lists(st.integers(1, ITEMS), max_size=8)
few = settings(max_examples=10, deadline=None)


@pytest.fixture(scope="module", params=KINDS)
def pair(request: pytest.FixtureRequest) -> Pair:
    """A trained recommender, and what its bundle would serve."""
    if library := LIBRARIES.get(request.param):
        pytest.importorskip(library)
    model = learned(request.param).recommender
    return model, load_script(save_script(model), "cpu")


def batch_of(rows: list[list[int]], exclude: list[int], length: int) -> Batch:
    padded = [[0] * (length - len(row)) + row for row in rows]
    history = torch.tensor(padded, dtype=torch.int64).view(len(rows), length)
    weight, age_s = 0.5 + history % 3, 3_600.0 * (history % 7)
    return history, weight, age_s, torch.tensor(exclude, dtype=torch.int64).repeat(len(rows), 1)


def close(left: torch.Tensor, right: torch.Tensor) -> bool:
    return bool(torch.allclose(left, right, rtol=1e-6, atol=1e-5))


def same_items(left: tuple[torch.Tensor, torch.Tensor], right: tuple[torch.Tensor, torch.Tensor]) -> bool:
    """Whether every item has its own score in both; of equal ones others may be the last."""
    for items, scores, others, theirs in zip(*left, *right, strict=True):
        own = dict(zip(items.tolist(), scores.tolist(), strict=True))
        lowest = float(scores[-1])
        found = [own.get(item, lowest) for item in others.tolist()]
        if not close(torch.tensor(found), theirs):
            return False
    return True


@few
@given(st.lists(histories, min_size=1, max_size=5))
def test_torchscript_equals_eager(pair: Pair, rows: list[list[int]]) -> None:
    batch = batch_of(rows, [], 8)
    with torch.inference_mode():
        eager, served = pair[0](*batch), pair[1](*batch)
    assert close(eager[1], served[1])
    assert same_items(eager, served)


@few
@given(st.lists(histories, min_size=2, max_size=5), st.integers(8, 12))
def test_batching_and_padding_change_no_score(pair: Pair, rows: list[list[int]], length: int) -> None:
    with torch.inference_mode():
        _, together = pair[1](*batch_of(rows, [], length))
        alone = [pair[1](*batch_of([row], [], len(row)))[1] for row in rows]
    assert close(together, torch.cat(alone))


@few
@given(histories, st.sets(st.integers(1, ITEMS)))
def test_excluded_items_are_never_returned(pair: Pair, row: list[int], exclude: set[int]) -> None:
    with torch.inference_mode():
        items, scores = pair[1](*batch_of([row], sorted(exclude), 8))
    returned = items[0][items[0] > 0].tolist()
    assert not exclude & set(returned)
    assert len(returned) == len(set(returned)) == min(10, ITEMS - len(exclude))
    assert bool(torch.isinf(scores[items == 0]).all())


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_half_precision_changes_scores_little_and_lets_nothing_excluded_through(pair: Pair, precision: str) -> None:
    batch = batch_of([[1, 2, 3], [4], []], [5, 6], 8)
    inputs = [tensor.numpy() for tensor in batch]
    (_, exact), (items, scores) = OnCpu().run(pair[1], *inputs), OnCpu(precision).run(pair[1], *inputs)
    assert np.allclose(scores, exact, rtol=0.02, atol=0.05)
    assert not {5, 6} & set(items.ravel().tolist())
