"""Popularity that fades with time: everyone gets the items with most users lately, less the excluded ones."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from model.datasets.interactions import Floats, Interactions
from model.networks.recommender import Recommender
from model.recommenders.kinds import Learned, Progress, Size, TrainingSet
from model.recommenders.neighbors import neighbors_by_users
from model.training.train import TrainConfig

SETTINGS = TrainConfig()


@dataclass(frozen=True, slots=True)
class Options:
    """The options of popularity.

    Attributes:
        half_life_days: age in days at which a user of an item counts half.
    """

    half_life_days: float = 30.0


DEFAULTS = Options()


class Popularity(Recommender):
    """A recommender that scores an item by its count in the training histories, and ignores the user's own."""

    def __init__(self, counts: npt.NDArray[np.generic], k: int) -> None:
        """Take the counts by model index, (n + 1,), which may be faded."""
        super().__init__(len(counts) - 1, k)
        self.register_buffer("counts", torch.as_tensor(counts, dtype=torch.float32))

    def scores(self, history: Tensor, weight: Tensor, age_s: Tensor) -> Tensor:
        """Return the same scores for everyone. (B, L) each -> (B, n + 1)."""
        return self.counts.unsqueeze(0).repeat(history.size(0), 1)


def faded_counts(log: Interactions, half_life_days: float) -> Floats:
    """Count each item's users in the histories of `log`, halving a user's count for each half-life. (n + 1,).

    A user's age is that of the newest behaviour with the item, relative to the newest of all. Users are counted rather
    than behaviours: on Online Retail, where much is bought again and again, NDCG@10 is .018 instead of .017.
    """
    histories = log.histories()
    pair = histories.user * (histories.items + 1) + histories.item
    _, back = np.unique(pair[::-1], return_index=True)
    newest = len(pair) - 1 - back
    age_days = (histories.timestamp.max(initial=0) - histories.timestamp[newest]) / 86_400_000
    share = 0.5 ** (age_days / half_life_days)
    return np.bincount(histories.item[newest], share, histories.items + 1).astype(np.float32)


def fit(
    data: TrainingSet, size: Size, settings: TrainConfig, progress: Progress, options: Options = DEFAULTS
) -> Learned:
    """Count the items' users; there is nothing to train."""
    model = Popularity(faded_counts(data.log, options.half_life_days), size.k).eval()
    return Learned(model, partial(neighbors_by_users, data.log))
