"""The sum of three models of a history: a GRU for its order, SLIT for the next item, ALS for taste.

They err on different users. NDCG@10 on the validations of MovieLens-100K and MovieLens-latest-small: the GRU by itself
.129 and .075, SLIT .129 and .078, ALS .124 and .045, the sum .149 and .095.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from model.networks.recommender import Recommender
from model.networks.top_k import masked_top_k, without
from model.recommenders import als, slit
from model.recommenders.ease import ITEMS, refuse_gigabytes
from model.recommenders.kinds import Learned, Progress, Size, TrainingSet
from model.recommenders.next_item import GRU
from model.training.train import TrainConfig

_SPREAD = 100
SETTINGS = GRU.SETTINGS


@dataclass(frozen=True, slots=True)
class Options:
    """The options of the hybrid: the weights of its members.

    Attributes:
        gru: weight of the GRU.
        slit: weight of SLIT, which is left out above 20,000 items.
        als: weight of ALS.
    """

    gru: float = 1.0
    slit: float = 1.0
    als: float = 0.6


DEFAULTS = Options()


class Hybrid(Recommender):
    """The weighted sum of recommenders' scores, each brought to a common scale."""

    spread: int

    def __init__(self, items: int, k: int, members: Mapping[Recommender, float]) -> None:
        """Combine recommenders of the same n = `items` items, each with the weight of its scores."""
        super().__init__(items, k)
        self.spread = min(_SPREAD, items)
        self.members = nn.ModuleList(members)
        self.register_buffer("shares", torch.tensor(list(members.values())))

    def scores(self, history: Tensor, weight: Tensor, age_s: Tensor) -> Tensor:
        """Score every model index without exclusions. (B, L) each -> (B, n + 1)."""
        return self.summed(history, weight, age_s, history[:, :0])

    def summed(self, history: Tensor, weight: Tensor, age_s: Tensor, exclude: Tensor) -> Tensor:
        """Sum the members' scores, each scaled by the items that may be returned. (B, L) x 3, (B, E) -> (B, n + 1)."""
        total = torch.zeros(1, device=history.device)
        for number, member in enumerate(self.members):
            scores = without(member.scores(history, weight, age_s), exclude)  # (B, n + 1)
            total = total + self.shares[number] * behind_best(scores, self.spread)
        return total

    def forward(self, history: Tensor, weight: Tensor, age_s: Tensor, exclude: Tensor) -> tuple[Tensor, Tensor]:
        """Return the best items and their scores, as `Recommender.forward` does. (B, L) x 3, (B, E) -> (B, K) x 2."""
        return masked_top_k(self.summed(history, weight, age_s, exclude), exclude, self.k)


def behind_best(scores: Tensor, spread: int) -> Tensor:
    """Return each score less the best one, in units of the first ones' mean distance to it.

    Unlike deviations from the mean, it does not depend on the scores of the many items that no list shows. Unlike
    ranks, it changes little where scores change little.

    Args:
        scores: (B, n + 1), -inf where an item cannot be returned.
        spread: number of first scores to average over.
    """
    first = scores.topk(spread, dim=1).values  # (B, spread)
    best = first[:, :1]
    there = ~torch.isinf(first)
    behind = torch.where(there, best - first, torch.zeros_like(first)).sum(1, keepdim=True)
    return (scores - best) / (behind / there.sum(1, keepdim=True)).clamp(min=1e-6)


def fit(
    data: TrainingSet, size: Size, settings: TrainConfig, progress: Progress, options: Options = DEFAULTS
) -> Learned:
    """Train the GRU with `settings` and the others with their own defaults; ALS takes its seed from `settings` too.

    Raises:
        ValueError: no user has two items, or the memory that SLIT takes is not free.
    """
    takes_slit = data.log.items <= ITEMS
    if takes_slit:
        refuse_gigabytes("hybrid", data.log.items)
    taste = als.fit(data, size, replace(als.SETTINGS, seed=settings.seed), progress)
    members = {taste.recommender: options.als}
    if takes_slit:
        members[slit.fit(data, size, slit.SETTINGS, progress).recommender] = options.slit
    members[GRU.fit(data, size, settings, progress).recommender] = options.gru
    return Learned(Hybrid(data.log.items, size.k, members).eval(), taste.neighbors)
