"""The masked top-k of many scores, where it looks at few of them only."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.recommender import masked_top_k, without


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


def test_of_many_items_nearly_all_of_which_are_excluded_the_rest_comes() -> None:
    scores = torch.arange(500.0).repeat(2, 1)
    items, best = masked_top_k(scores, torch.arange(3, 500).repeat(2, 1), 4, block=16)
    assert items.tolist() == [[2, 1, 0, 0]] * 2
    assert bool(torch.isinf(best[:, 2:]).all())
    assert torch.equal(scores[0], torch.arange(500.0))  # they are the model's, and stay as they are
