"""User-based collaborative filtering: items of the users with the most similar histories (Herlocker et al. 1999).

The bundle holds the histories to compare with, a users x items matrix of at most `CELLS` cells, for the newest users.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from model.datasets.interactions import Interactions, Ints
from model.recommenders.cooccurrence import user_item_matrix
from model.recommenders.from_history import FromHistory
from model.recommenders.kinds import Learned, Progress, Size, TrainingSet
from model.recommenders.neighbors import neighbors_by_users
from model.training.train import TrainConfig

CELLS = 50_000_000  # 200 MB in the bundle
SETTINGS = TrainConfig()


@dataclass(frozen=True, slots=True)
class Options:
    """The options of user-based collaborative filtering.

    Attributes:
        neighbors: number of most similar users whose items count.
        shrink: added to a cosine's denominator, so that a few common items count less.
        decay: weight of an item as a share of the next newer one's.
    """

    neighbors: int = 20
    shrink: float = 3.0
    decay: float = 0.9


DEFAULTS = Options()


class UserCF(FromHistory):
    """A model that sums the items of the nearest users, each weighted by the user's similarity to the live history."""

    neighbors: int
    shrink: float

    def __init__(self, items_of_users: Tensor, counts: Ints, k: int, options: Options) -> None:
        """Take the items of the users to compare with, float32 (n + 1, U), 1 for each item of a user."""
        super().__init__(counts, k, options.decay)
        self.neighbors = min(options.neighbors, items_of_users.size(1))
        self.shrink = options.shrink
        self.register_buffer("items_of_users", items_of_users)
        self.register_buffer("norm", items_of_users.sum(0).sqrt())

    def affinity(self, history: Tensor, recency: Tensor, weight: Tensor) -> Tensor:
        """Score every model index by the nearest users' items. (B, L) each -> (B, n + 1)."""
        common = F.embedding_bag(
            history, self.items_of_users, mode="sum", per_sample_weights=recency, padding_idx=0
        )  # (B, U)
        mine = recency.square().sum(1, keepdim=True).sqrt()  # (B, 1)
        alike = common / (mine * self.norm + self.shrink).clamp(min=1e-12)  # (B, U)
        best, users = alike.topk(self.neighbors, dim=1)
        return torch.zeros_like(alike).scatter(1, users, best) @ self.items_of_users.T


def fit(
    data: TrainingSet, size: Size, settings: TrainConfig, progress: Progress, options: Options = DEFAULTS
) -> Learned:
    """Keep the newest users' histories; there is nothing to train."""
    log = data.log
    items_of_users = user_item_matrix(log).index_select(0, newest_users(log)).to_dense().T.contiguous()
    model = UserCF(items_of_users, log.histories().counts(), size.k, options).eval()
    return Learned(model, partial(neighbors_by_users, log))


def newest_users(log: Interactions) -> Tensor:
    """Return the numbers of the newest users whose histories fit into the bundle, in ascending order.

    Users are ordered by their newest behaviour in a history; at least one is kept.
    """
    users, at = np.unique(log.histories().user[::-1], return_index=True)
    fitting = max(1, CELLS // (log.items + 1))
    return torch.from_numpy(np.sort(users[np.argsort(at, kind="stable")[:fitting]]))
