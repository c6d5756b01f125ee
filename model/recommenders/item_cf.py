"""Item-based collaborative filtering: items with the same users as the history's items (Sarwar et al. 2001).

Only each item's nearest neighbours are kept, so a bundle grows with the number of items, not with its square.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from model.datasets.interactions import Ints
from model.recommenders.cooccurrence import Pairs, common_users, paired_items, strongest, users_of_items
from model.recommenders.from_history import FromHistory
from model.recommenders.kinds import Learned, Progress, Size, TrainingSet
from model.recommenders.neighbors import alike_by_users
from model.training.train import TrainConfig

SETTINGS = TrainConfig()


@dataclass(frozen=True, slots=True)
class Options:
    """The options of item-based collaborative filtering.

    Attributes:
        neighbors: number of neighbours kept for each item.
        power: strength of the penalty on popular items; 0.5 is that of the cosine, 1 that of the ratio to chance.
        decay: weight of an item as a share of the next newer one's.
    """

    neighbors: int = 50
    power: float = 0.7
    decay: float = 0.85


DEFAULTS = Options()


class ItemCF(FromHistory):
    """A model that sums the similarities of the neighbours of the history's items."""

    def __init__(self, near: Tensor, strength: Tensor, counts: Ints, k: int, decay: float) -> None:
        """Take each item's neighbours, int32 (n + 1, M), 0 pads, and their similarities, float32 (n + 1, M)."""
        super().__init__(counts, k, decay)
        self.register_buffer("near", near)
        self.register_buffer("strength", strength)

    def affinity(self, history: Tensor, recency: Tensor, weight: Tensor) -> Tensor:
        """Sum the neighbours' similarities, each times its recency. (B, L) each -> (B, n + 1)."""
        items = self.near[history].long().flatten(1)  # (B, L * M)
        gained = (self.strength[history] * recency.unsqueeze(2)).flatten(1)  # (B, L * M)
        nothing = torch.zeros((history.size(0), self.counts.size(0)), device=history.device)
        return nothing.scatter_add(1, items, gained)


def _similar_pairs(matrix: Tensor, power: float) -> Iterator[Pairs]:
    """Yield pairs with a similarity by common users; a user of many items counts less for each (Breese et al. 1998).

    Each common user counts 1 / sqrt(its items), and the sum is divided by ((p + m) * (q + m)) to the `power`. Here p
    and q are the numbers of users of the two items, and m is that of an average item, so that a few common users count
    less.
    """
    users = users_of_items(matrix)
    scale = (users + users[1:].mean()) ** power
    worth = torch.sparse.sum(matrix, 1).to_dense().clamp(min=1).rsqrt()
    for pairs in common_users(matrix, worth):
        yield replace(pairs, users=pairs.users / (scale[pairs.item] * scale[pairs.other]))


def similar_items(matrix: Tensor, options: Options) -> tuple[Tensor, Tensor]:
    """Return each item's nearest, int32 (n + 1, M), and their similarities, float32 (n + 1, M); 0 pads both.

    Args:
        matrix: as `paired_items` returns it.
        options: the number of neighbours and the power of the similarity.
    """
    items = matrix.size(1) - 1
    kept = max(1, min(options.neighbors, items - 1))
    near, strength = strongest(_similar_pairs(matrix, options.power), items, kept)
    return torch.from_numpy(near), torch.from_numpy(strength)


def fit(
    data: TrainingSet, size: Size, settings: TrainConfig, progress: Progress, options: Options = DEFAULTS
) -> Learned:
    """Train by counting the common users of items."""
    matrix = paired_items(data.log)
    near, strength = similar_items(matrix, options)
    model = ItemCF(near, strength, data.log.histories().counts(), size.k, options.decay).eval()
    return Learned(model, partial(alike_by_users, matrix))
