"""Item-based collaborative filtering: what is met by the same users as the history's items (Sarwar et al. 2001).

Only each item's nearest neighbours are kept, so a bundle grows with the number of items, not with its square.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from model.datasets.interactions import Interactions, Ints
from model.recommenders.cooccurrence import common_users, rows_at_once, user_item_matrix
from model.recommenders.from_history import FromHistory
from model.recommenders.kinds import Learned, Progress, Size, TrainingSet
from model.recommenders.neighbors import met_together
from model.training.train import TrainConfig

HOW = TrainConfig()


@dataclass(frozen=True, slots=True)
class Options:
    """What it is made of.

    Attributes:
        neighbors: kept of each item.
        power: how much is taken off what is popular; the cosine has 0.5, the ratio to what chance would give 1.
        decay: an item counts so much of the one after it.
    """

    neighbors: int = 50
    power: float = 0.7
    decay: float = 0.85


DEFAULTS = Options()


class ItemCF(FromHistory):
    """Sums over the history the similarities of its items' neighbours."""

    def __init__(self, near: Tensor, strength: Tensor, counts: Ints, k: int, decay: float) -> None:
        """Takes each item's neighbours, int32 (n + 1, M), 0 pads, and their similarities, float32 (n + 1, M)."""
        super().__init__(counts, k, decay)
        self.register_buffer("near", near)
        self.register_buffer("strength", strength)

    def affinity(self, history: Tensor, recency: Tensor, weight: Tensor) -> Tensor:
        """(B, L) each -> (B, n + 1)."""
        items = self.near[history].long().flatten(1)  # (B, L * M)
        gained = (self.strength[history] * recency.unsqueeze(2)).flatten(1)  # (B, L * M)
        nothing = torch.zeros((history.size(0), self.counts.size(0)), device=history.device)
        return nothing.scatter_add(1, items, gained)


def similarity_rows(log: Interactions, power: float) -> Callable[[Tensor], Tensor]:
    """Similarity of items by the users who met both; a user of many items says less of each pair (Breese et al. 1998).

    Returns:
        A function as `common_users` returns: each user of both counts 1 / sqrt(its items), and the sum is divided by
        ((p + m) * (q + m)) to the `power`, p and q being the users of the two items and m those of an item on average,
        so that few users in common count less.
    """
    met = user_item_matrix(log)
    common = common_users(log, torch.sparse.sum(met, 1).to_dense().clamp(min=1).rsqrt())
    users = torch.sparse.sum(met, 0).to_dense()  # (n + 1,)
    scale = (users + users[1:].mean()) ** power
    return lambda items: common(items) / torch.outer(scale[items], scale)


def similar_items(log: Interactions, options: Options) -> tuple[Tensor, Tensor]:
    """Each item's nearest, int32 (n + 1, M), and their similarities, float32 (n + 1, M); 0 pads both."""
    similarity = similarity_rows(log, options.power)
    kept = max(1, min(options.neighbors, log.items - 1))
    tops = [
        _without_itself(similarity(rows), rows).topk(kept, dim=1)
        for rows in torch.arange(log.items + 1).split(rows_at_once(log))
    ]
    strength = torch.cat([top.values for top in tops]).clamp(min=0)
    near = torch.cat([top.indices for top in tops])
    return (near * (strength > 0)).int(), strength


def fit(data: TrainingSet, size: Size, how: TrainConfig, progress: Progress, options: Options = DEFAULTS) -> Learned:
    """Counts who met what together."""
    near, strength = similar_items(data.log, options)
    model = ItemCF(near, strength, data.log.histories().counts(), size.k, options.decay).eval()
    return Learned(model, partial(met_together, data.log))


def _without_itself(similarity: Tensor, rows: Tensor) -> Tensor:
    similarity[torch.arange(len(rows)), rows] = 0.0
    return similarity
