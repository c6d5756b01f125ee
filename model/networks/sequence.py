"""The base of the models that predict the next item of a history, with all that training needs of them.

An item is scored by the dot product of its embedding with the state after the newest item, plus a bias that
starts as its popularity: an empty history is answered by the bias alone.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.datasets.interactions import Ints
from model.networks.recommender import Recommender
from model.networks.top_k import top_products


@dataclass(frozen=True, slots=True)
class SequenceConfig:
    """The size of a model that predicts a history's next item.

    Attributes:
        items: n, size of the vocabulary.
        history_length: L, newest items that it is trained on.
        dim: D, width of an item's embedding.
        dropout: share of activations dropped in training.
        k: items returned.
    """

    items: int
    history_length: int = 50
    dim: int = 64
    dropout: float = 0.3
    k: int = 100

    def build(self, counts: Ints) -> "SequenceRecommender":
        """Return the untrained model; counts as in `SequenceRecommender`."""
        raise NotImplementedError


class Items(nn.Embedding):  # type: ignore[misc]  # torch is untyped here
    """The items' embeddings, both read and predicted with, (n + 1, D)."""

    def product(self, hidden: Tensor, bias: Tensor) -> Tensor:
        """Multiply states with each item's embedding, and add its bias. (B, D), (n + 1,) -> (B, n + 1)."""
        return F.linear(hidden, self.weight, bias)

    def best(self, hidden: Tensor, bias: Tensor, exclude: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Return the k items of the best products that are not excluded. (B, D), (n + 1,), (B, E) -> (B, K) x 2."""
        return top_products(hidden, self.weight, bias, exclude, k)


class SequenceRecommender(Recommender):
    """A model that predicts the next item after each item of a history.

    Attributes:
        item: the items' embeddings, (n + 1, D).
        bias: (n + 1,), added to the scores.
    """

    def __init__(self, config: SequenceConfig, counts: Ints) -> None:
        """Make the untrained model, whose bias starts as the items' popularity.

        `counts` are the occurrences of each model index in the training data, (n + 1,).
        """
        super().__init__(config.items, config.k)
        self.item = Items(config.items + 1, config.dim, padding_idx=0)
        share = torch.as_tensor(counts, dtype=torch.float32) + 1.0
        self.bias = nn.Parameter(torch.log(share / share.sum()))

    def hidden(self, history: Tensor) -> Tensor:
        """Return the state after each item, as it is multiplied with embeddings. (B, L) -> (B, L, D)."""
        raise NotImplementedError

    def logits(self, hidden: Tensor) -> Tensor:
        """Score every model index. (B, D) -> (B, n + 1)."""
        return self.item.product(hidden, self.bias)

    def best(self, hidden: Tensor, exclude: Tensor) -> tuple[Tensor, Tensor]:
        """Return the best items and their scores, as `forward`, but by states. (B, D), (B, E) -> (B, K) x 2."""
        return self.item.best(hidden, self.bias, exclude, self.k)


def left_aligned(history: Tensor) -> tuple[Tensor, Tensor]:
    """Move the padding behind the items, so that a pass from the left reads the items first.

    Returns:
        The items, 0 pads on the right, and for each old column the new one, -1 for padding. (B, L) each.
    """
    columns = torch.arange(history.size(1), device=history.device).unsqueeze(0)  # (1, L)
    padding = (history == 0).sum(1, keepdim=True)  # (B, 1)
    source = (columns + padding).clamp(max=history.size(1) - 1)
    moved = history.gather(1, source).masked_fill(columns + padding >= history.size(1), 0)
    return moved, (columns - padding).clamp(min=-1)
