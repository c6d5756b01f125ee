"""What the classic recommenders share: newer items of the history count more, and an empty one gets what is popular."""

import torch
import torch.nn.functional as F
from torch import Tensor

from model.datasets.interactions import Ints
from model.networks.recommender import Recommender


class FromHistory(Recommender):
    """Scores by the items of the history, the newest 1, the one before it `decay`, then `decay` squared, and so on.

    It ignores `age_s`. A history in which nothing is known is answered by popularity.
    """

    decay: float

    def __init__(self, counts: Ints, k: int, decay: float) -> None:
        """Takes the occurrences of each model index in the training histories, (n + 1,)."""
        super().__init__(len(counts) - 1, k)
        self.decay = decay
        self.register_buffer("counts", torch.as_tensor(counts, dtype=torch.float32))

    def affinity(self, history: Tensor, recency: Tensor, weight: Tensor) -> Tensor:
        """Scores of histories with at least one column. (B, L) each, 0 where padded -> (B, n + 1)."""
        raise NotImplementedError

    def scores(self, history: Tensor, weight: Tensor, age_s: Tensor) -> Tensor:
        """(B, L) each -> (B, n + 1)."""
        history, weight = F.pad(history, [1, 0]), F.pad(weight, [1, 0])  # some ops take no empty row
        real = history > 0  # (B, L)
        age = torch.arange(history.size(1) - 1, -1, -1, device=history.device)
        found = self.affinity(history, self.decay**age * real, weight * real)
        return torch.where(real.any(1, keepdim=True), found, self.counts)
