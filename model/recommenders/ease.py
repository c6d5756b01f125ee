"""EASE: the linear item-to-item model that reconstructs histories best, in closed form (Steck 2019)."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from model.cooccurrence import common_users, rows_at_once
from model.interactions import Interactions, Ints
from model.kinds import Learned, Progress, Size, TrainingSet
from model.neighbors import met_together
from model.recommenders.from_history import FromHistory
from model.train import TrainConfig

L2 = 200.0
DECAY = 0.9
ITEMS = 20_000
HOW = TrainConfig()


class EASE(FromHistory):
    """Sums the rows that belong to the history's items."""

    def __init__(self, weights: Tensor, counts: Ints, k: int, decay: float = DECAY) -> None:
        """Takes what item i says of item j at [i, j], float32 (n + 1, n + 1)."""
        super().__init__(counts, k, decay)
        self.register_buffer("weights", weights)

    def affinity(self, history: Tensor, recency: Tensor, weight: Tensor) -> Tensor:
        """(B, L) each -> (B, n + 1)."""
        return F.embedding_bag(history, self.weights, mode="sum", per_sample_weights=recency, padding_idx=0)


def item_weights(log: Interactions, l2: float) -> Tensor:
    """The closed form: B = I - P / diag(P), P being the inverse of X'X + l2 I. (n + 1, n + 1), row and column 0 zero.

    Raises:
        ValueError: the vocabulary is so large that B and its inverse take many gigabytes.
    """
    if log.items > ITEMS:
        msg = f"ease keeps items x items weights: at most {ITEMS:,} items, not {log.items:,}; take item-cf or als"
        raise ValueError(msg)
    common = common_users(log)
    blocks = [common(rows) for rows in torch.arange(log.items + 1).split(rows_at_once(log))]
    gram = torch.cat(blocks)[1:, 1:].double()  # (n, n)
    gram.diagonal().add_(l2)
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(gram))
    weights = inverse / -inverse.diagonal()
    weights.fill_diagonal_(0.0)
    return F.pad(weights, (1, 0, 1, 0)).float()


def fit(data: TrainingSet, size: Size, how: TrainConfig, progress: Progress) -> Learned:
    """Solves for the weights; ValueError if there are too many items."""
    model = EASE(item_weights(data.log, L2), data.log.histories().counts(), size.k).eval()
    return Learned(model, partial(met_together, data.log))
