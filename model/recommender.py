"""The contract every recommender keeps, and the masked top-k that all of them end in.

`forward(history, weight, age_s, exclude) -> (items, scores)`, where

- history: int64 (B, L), model indexes, 0 pads on the left, the newest item in the last column.
- weight: float32 (B, L), each action's weight as it was when it happened.
- age_s: float32 (B, L), seconds between each action and now.
- exclude: int64 (B, E), model indexes never to return, 0 pads.
- items: int64 (B, K), best first; 0 where there was nothing left to return.
- scores: float32 (B, K), on the model's own scale; -inf where the item is 0.

Any L and any E will do, 0 included. A model may ignore an input.
"""

import torch
from torch import Tensor, nn


def masked_top_k(scores: Tensor, exclude: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k best items that are neither excluded nor the padding index.

    Args:
        scores: float32 (B, n + 1), by model index.
        exclude: int64 (B, E), 0 pads.
        k: how many to return; at most n + 1.
    """
    masked = scores.scatter(1, exclude, float("-inf"))  # (B, n + 1)
    masked[:, 0] = float("-inf")
    best, items = torch.topk(masked, k, dim=1)  # (B, K), (B, K)
    return torch.where(torch.isinf(best), torch.zeros_like(items), items), best


class Recommender(nn.Module):  # type: ignore[misc]  # torch is untyped here
    """A model that scores all items from a live history, so users it never saw are served too.

    Attributes:
        k: items that `forward` returns.
    """

    k: int

    def __init__(self, items: int, k: int) -> None:
        """Makes a recommender of n = `items` items; it returns at most n of them."""
        super().__init__()
        self.k = min(k, items)

    def scores(self, history: Tensor, weight: Tensor, age_s: Tensor) -> Tensor:
        """Scores every model index. (B, L) each -> (B, n + 1)."""
        raise NotImplementedError

    def forward(self, history: Tensor, weight: Tensor, age_s: Tensor, exclude: Tensor) -> tuple[Tensor, Tensor]:
        """Keeps the contract of this module. (B, L) x 3, (B, E) -> (B, K) x 2."""
        return masked_top_k(self.scores(history, weight, age_s), exclude, self.k)
