"""Item-based collaborative filtering: what is met by the same users as the history's items (Sarwar et al. 2001).

Only each item's nearest neighbours are kept, so a bundle grows with the number of items, not with its square.
"""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from model.cooccurrence import cosine_rows, rows_at_once
from model.interactions import Interactions, Ints
from model.kinds import Learned, Progress, Size, TrainingSet
from model.neighbors import met_together
from model.recommenders.from_history import FromHistory
from model.train import TrainConfig

HOW = TrainConfig()


@dataclass(frozen=True, slots=True)
class Options:
    """What it is made of.

    Attributes:
        shrink: added to a cosine's denominator, so that few users in common count less.
        neighbors: kept of each item.
        decay: an item counts so much of the one after it.
    """

    shrink: float = 20.0
    neighbors: int = 20
    decay: float = 0.9


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


def similar_items(log: Interactions, shrink: float, neighbors: int) -> tuple[Tensor, Tensor]:
    """Each item's nearest, int32 (n + 1, M), and their shrunk cosines, float32 (n + 1, M); 0 pads both."""
    similarity = cosine_rows(log, shrink=shrink)
    kept = max(1, min(neighbors, log.items - 1))
    tops = [
        _without_itself(similarity(rows), rows).topk(kept, dim=1)
        for rows in torch.arange(log.items + 1).split(rows_at_once(log))
    ]
    strength = torch.cat([top.values for top in tops]).clamp(min=0)
    near = torch.cat([top.indices for top in tops])
    return (near * (strength > 0)).int(), strength


def fit(data: TrainingSet, size: Size, how: TrainConfig, progress: Progress, options: Options = DEFAULTS) -> Learned:
    """Counts who met what together."""
    near, strength = similar_items(data.log, options.shrink, options.neighbors)
    model = ItemCF(near, strength, data.log.histories().counts(), size.k, options.decay).eval()
    return Learned(model, partial(met_together, data.log))


def _without_itself(similarity: Tensor, rows: Tensor) -> Tensor:
    similarity[torch.arange(len(rows)), rows] = 0.0
    return similarity
