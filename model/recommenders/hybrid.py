"""Three views of a history added up: a GRU's of its order, SLIT's of what came next, ALS's of its taste.

They err on different users. NDCG@10 on the validations of MovieLens-100K and MovieLens-latest-small: the GRU alone
.129 and .075, SLIT .129 and .078, ALS .124 and .045, the sum .149 and .095.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from model.networks.recommender import Recommender
from model.networks.top_k import masked_top_k, without
from model.recommenders import als, slit
from model.recommenders.ease import ITEMS
from model.recommenders.kinds import Learned, Progress, Size, TrainingSet
from model.recommenders.next_item import GRU
from model.training.train import TrainConfig

SPREAD = 100
HOW = GRU.HOW


@dataclass(frozen=True, slots=True)
class Options:
    """What it is made of: what each member counts.

    Attributes:
        gru: of the GRU.
        slit: of SLIT, which is left out above 20,000 items.
        als: of ALS.
    """

    gru: float = 1.0
    slit: float = 1.0
    als: float = 0.6


DEFAULTS = Options()


class Hybrid(Recommender):
    """The weighted sum of recommenders' scores, each brought to a common scale."""

    spread: int

    def __init__(self, items: int, k: int, members: Mapping[Recommender, float]) -> None:
        """Takes recommenders of the same n = `items` items, and what each one's scores count."""
        super().__init__(items, k)
        self.spread = min(SPREAD, items)
        self.members = nn.ModuleList(members)
        self.register_buffer("shares", torch.tensor(list(members.values())))

    def scores(self, history: Tensor, weight: Tensor, age_s: Tensor) -> Tensor:
        """Scores where nothing is excluded. (B, L) each -> (B, n + 1)."""
        return self.summed(history, weight, age_s, history[:, :0])

    def summed(self, history: Tensor, weight: Tensor, age_s: Tensor, exclude: Tensor) -> Tensor:
        """Scores on the scale of what may be returned. (B, L) x 3, (B, E) -> (B, n + 1)."""
        total = torch.zeros(1, device=history.device)
        for number, member in enumerate(self.members):
            scores = without(member.scores(history, weight, age_s), exclude)  # (B, n + 1)
            total = total + self.shares[number] * behind_best(scores, self.spread)
        return total

    def forward(self, history: Tensor, weight: Tensor, age_s: Tensor, exclude: Tensor) -> tuple[Tensor, Tensor]:
        """Keeps the contract of `model.networks.recommender`. (B, L) x 3, (B, E) -> (B, K) x 2."""
        return masked_top_k(self.summed(history, weight, age_s, exclude), exclude, self.k)


def behind_best(scores: Tensor, spread: int) -> Tensor:
    """How far each score is behind the best, in units of how far the first ones are on average.

    Unlike deviations from the mean it does not depend on how most items, which nobody will see, are scored; and unlike
    ranks it changes little where scores do.

    Args:
        scores: (B, n + 1), -inf where an item cannot be returned.
        spread: how many are the first.
    """
    first = scores.topk(spread, dim=1).values  # (B, spread)
    best = first[:, :1]
    there = ~torch.isinf(first)
    behind = torch.where(there, best - first, torch.zeros_like(first)).sum(1, keepdim=True)
    return (scores - best) / (behind / there.sum(1, keepdim=True)).clamp(min=1e-6)


def fit(data: TrainingSet, size: Size, how: TrainConfig, progress: Progress, options: Options = DEFAULTS) -> Learned:
    """Trains a GRU as told and the others in their own way; ValueError if no user has two items."""
    taste = als.fit(data, size, replace(als.HOW, seed=how.seed), progress)
    members = {taste.recommender: options.als}
    if data.log.items <= ITEMS:
        members[slit.fit(data, size, slit.HOW, progress).recommender] = options.slit
    members[GRU.fit(data, size, how, progress).recommender] = options.gru
    return Learned(Hybrid(data.log.items, size.k, members).eval(), taste.neighbors)
