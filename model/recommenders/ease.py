"""EASE: the linear item-to-item model that reconstructs histories best, in closed form (Steck 2019)."""

from dataclasses import dataclass
from functools import partial

import psutil
import torch
import torch.nn.functional as F
from torch import Tensor

from model.datasets.interactions import Ints
from model.errors import TrainingError
from model.recommenders.cooccurrence import common_users, paired_items
from model.recommenders.from_history import FromHistory
from model.recommenders.kinds import Learned, Progress, Size, TrainingSet
from model.recommenders.neighbors import alike_by_users
from model.training.train import TrainConfig

ITEMS = 20_000
_TRAINING_BYTES = 5 * 8
"""Bytes a pair of items: products, factor, solution, weights and their padded copy exist at once, in float64."""
SETTINGS = TrainConfig()


@dataclass(frozen=True, slots=True)
class Options:
    """The options of EASE.

    Attributes:
        l2: penalty on the weights' squares.
        decay: weight of an item as a share of the next newer one's.
    """

    l2: float = 200.0
    decay: float = 0.9


DEFAULTS = Options()


class EASE(FromHistory):
    """A linear model: the sum of the weights' rows for the history's items."""

    def __init__(self, weights: Tensor, counts: Ints, k: int, decay: float) -> None:
        """Build the model from weights, float32 (n + 1, n + 1): [i, j] is the score that item i adds to item j."""
        super().__init__(counts, k, decay)
        self.register_buffer("weights", weights)

    def affinity(self, history: Tensor, recency: Tensor, weight: Tensor) -> Tensor:
        """Sum the weights' rows, each times its recency. (B, L) each -> (B, n + 1)."""
        return F.embedding_bag(history, self.weights, mode="sum", per_sample_weights=recency, padding_idx=0)


def refuse_gigabytes(kind: str, items: int) -> None:
    """Refuse a vocabulary for which items x items weights would take many gigabytes, or more than are free.

    Free is what the machine has: the limit of a container is not seen.

    Raises:
        TrainingError: there are more than `ITEMS` items, or the matrices of the training do not fit into memory.
    """
    needed_gb = _TRAINING_BYTES * items**2 / 1e9
    if items > ITEMS:
        msg = (
            f"{kind} keeps items x items weights: at most {ITEMS:,} items, not {items:,}, on which the training takes "
            f"{needed_gb:.0f} GB; take item-cf or als"
        )
        raise TrainingError(msg)
    free_gb = psutil.virtual_memory().available / 1e9
    if needed_gb > free_gb:
        msg = (
            f"training {kind} on {items:,} items takes {needed_gb:.1f} GB of memory, and {free_gb:.1f} GB are free; "
            "take item-cf or als"
        )
        raise TrainingError(msg)


def item_weights(matrix: Tensor, l2: float) -> Tensor:
    """Solve for the weights in closed form: B = I - P / diag(P), where P is the inverse of X'X + l2 I.

    B is (n + 1, n + 1), with zeros in row 0 and column 0.

    Args:
        matrix: X, as `paired_items` returns it.
        l2: penalty on the weights' squares.

    Raises:
        ValueError: there are too many items, or too little memory is free, as in `refuse_gigabytes`.
    """
    items = matrix.size(1) - 1
    refuse_gigabytes("ease", items)
    gram = torch.zeros((items, items), dtype=torch.float64)
    for pairs in common_users(matrix):
        gram.numpy()[pairs.item - 1, pairs.other - 1] = pairs.users
    gram.diagonal().add_(l2)
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(gram))
    weights = inverse / -inverse.diagonal()
    weights.fill_diagonal_(0.0)
    return F.pad(weights, (1, 0, 1, 0)).float()


def fit(
    data: TrainingSet, size: Size, settings: TrainConfig, progress: Progress, options: Options = DEFAULTS
) -> Learned:
    """Train EASE by solving for its weights; raise ValueError as `item_weights` does."""
    matrix = paired_items(data.log)
    model = EASE(item_weights(matrix, options.l2), data.log.histories().counts(), size.k, options.decay).eval()
    return Learned(model, partial(alike_by_users, matrix))
