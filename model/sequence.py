"""What the models that predict the next item of a history have in common, and what training asks of them.

An item is scored by the dot product of its embedding with the state after the newest item, plus a bias that
starts as its popularity: an empty history is answered by the bias alone.
"""

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.interactions import Ints
from model.recommender import Recommender


class SequenceConfig(Protocol):
    """The size of a model that can be trained on sequences.

    Attributes:
        items: n, size of the vocabulary.
        history_length: L, newest items that it is trained on.
        dim: D, width of an item's embedding.
        k: items returned.
    """

    @property
    def items(self) -> int: ...
    @property
    def history_length(self) -> int: ...
    @property
    def dim(self) -> int: ...
    @property
    def k(self) -> int: ...

    def build(self, counts: Ints) -> "SequenceRecommender":
        """The untrained model; counts as in `SequenceRecommender`."""
        ...


class SequenceRecommender(Recommender):
    """Predicts the next item after each item of a history.

    Attributes:
        item: the items' embeddings, (n + 1, D), both read and predicted with.
        bias: (n + 1,), added to the scores.
    """

    def __init__(self, config: SequenceConfig, counts: Ints) -> None:
        """Takes the occurrences of each model index in the training data, (n + 1,), as first bias."""
        super().__init__(config.items, config.k)
        self.item = nn.Embedding(config.items + 1, config.dim, padding_idx=0)
        share = torch.as_tensor(counts, dtype=torch.float32) + 1.0
        self.bias = nn.Parameter(torch.log(share / share.sum()))

    def hidden(self, history: Tensor) -> Tensor:
        """The state after each item, as it is multiplied with embeddings. (B, L) -> (B, L, D)."""
        raise NotImplementedError

    def logits(self, hidden: Tensor) -> Tensor:
        """Scores of every model index. (B, D) -> (B, n + 1)."""
        return F.linear(hidden, self.item.weight, self.bias)
