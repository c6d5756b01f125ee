"""The masked top-k of many scores, where it looks at few of them only."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from model.networks.top_k import masked_top_k, top_products, without

pytestmark = pytest.mark.heavy


@settings(max_examples=25)
@given(st.integers(0, 2**32), st.integers(400, 700), st.integers(1, 6), st.booleans())
def test_the_best_of_many_items_are_those_of_a_full_sort(seed: int, count: int, k: int, rounded: bool) -> None:
    random = torch.Generator().manual_seed(seed)
    scores = torch.randn((3, count), generator=random)
    scores = scores.round() if rounded else scores  # so that many are equal
    exclude = torch.randint(0, count, (3, 300), generator=random)
    items, best = masked_top_k(scores, exclude, k, block=16)
    allowed = without(scores, exclude)
    assert torch.equal(best, torch.topk(allowed, k, dim=1).values)
    assert torch.equal(best, allowed.gather(1, items))
    assert all(len(set(row)) == k for row in items.tolist())


@settings(max_examples=25)
@given(st.integers(0, 2**32), st.integers(400, 700), st.integers(1, 6))
def test_the_best_products_are_those_of_all_scores(seed: int, count: int, k: int) -> None:
    random = torch.Generator().manual_seed(seed)
    hidden, weight = torch.randn((3, 4), generator=random), torch.randn((count, 4), generator=random)
    bias, exclude = torch.randn(count, generator=random), torch.randint(0, count, (3, 300), generator=random)
    with torch.inference_mode():
        items, best = top_products(hidden, weight, bias, exclude, k, block=16, chunk=64)
    allowed = without(F.linear(hidden, weight, bias), exclude)
    assert torch.allclose(best, torch.topk(allowed, k, dim=1).values, rtol=0, atol=1e-5)
    assert torch.allclose(best, allowed.gather(1, items), rtol=0, atol=1e-5)
    assert all(len(set(row)) == k for row in items.tolist())


def test_with_gradients_the_best_products_are_the_same() -> None:
    random = torch.Generator().manual_seed(0)
    hidden, weight = torch.randn((3, 4), generator=random), torch.randn((500, 4), generator=random, requires_grad=True)
    nothing, bias = torch.zeros((3, 0), dtype=torch.int64), torch.zeros(500)
    items, best = top_products(hidden, weight, bias, nothing, 4, block=16, chunk=64)
    with torch.inference_mode():
        plain_items, plain_best = top_products(hidden, weight, bias, nothing, 4, block=16, chunk=64)
    assert best.requires_grad
    assert torch.equal(items, plain_items)
    assert torch.allclose(best, plain_best, rtol=0, atol=1e-5)


def test_of_many_items_nearly_all_of_which_are_excluded_the_rest_comes() -> None:
    scores = torch.arange(500.0).repeat(2, 1)
    items, best = masked_top_k(scores, torch.arange(3, 500).repeat(2, 1), 4, block=16)
    assert items.tolist() == [[2, 1, 0, 0]] * 2
    assert bool(torch.isinf(best[:, 2:]).all())
    assert torch.equal(scores[0], torch.arange(500.0))  # they are the model's, and stay as they are
