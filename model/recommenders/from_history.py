"""The base of the classic recommenders: newer items of a history count more, and an empty one gets popular items."""

import torch
import torch.nn.functional as F
from torch import Tensor

from model.datasets.interactions import Ints
from model.networks.recommender import Recommender


class FromHistory(Recommender):
    """A recommender that weighs the history's items by recency: the newest 1, then `decay`, `decay` squared, and so on.

    It ignores `age_s`. A history without a known item is scored by popularity.
    """

    decay: float

    def __init__(self, counts: Ints, k: int, decay: float) -> None:
        """Take the number of times each model index occurs in the training histories, (n + 1,)."""
        super().__init__(len(counts) - 1, k)
        self.decay = decay
        self.register_buffer("counts", torch.as_tensor(counts, dtype=torch.float32))

    def affinity(self, history: Tensor, recency: Tensor, weight: Tensor) -> Tensor:
        """Score histories with at least one column. (B, L) each, 0 where padded -> (B, n + 1)."""
        raise NotImplementedError

    def scores(self, history: Tensor, weight: Tensor, age_s: Tensor) -> Tensor:
        """Score every model index, by popularity if the history is empty. (B, L) each -> (B, n + 1)."""
        history, weight = F.pad(history, [1, 0]), F.pad(weight, [1, 0])  # some operators refuse an empty row
        real = history > 0  # (B, L)
        age = torch.arange(history.size(1) - 1, -1, -1, device=history.device)
        found = self.affinity(history, self.decay**age * real, weight * real)
        return torch.where(real.any(1, keepdim=True), found, self.counts)
