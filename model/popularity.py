"""The popularity baseline: everyone gets what most behaviours were about, less what is excluded."""

import torch
from torch import Tensor

from model.interactions import Ints
from model.recommender import Recommender


class Popularity(Recommender):
    """Scores an item by how often it occurs in the training histories; ignores the user's own."""

    def __init__(self, counts: Ints, k: int) -> None:
        """Takes the occurrences by model index, (n + 1,)."""
        super().__init__(len(counts) - 1, k)
        self.register_buffer("counts", torch.as_tensor(counts, dtype=torch.float32))

    def scores(self, history: Tensor, weight: Tensor, age_s: Tensor) -> Tensor:
        """The same row for everyone. (B, L) each -> (B, n + 1)."""
        return self.counts.unsqueeze(0).repeat(history.size(0), 1)
