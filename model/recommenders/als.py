"""Matrix factorisation by weighted alternating least squares (Hu, Koren and Volinsky 2008), trained by implicit.

A user who is not in the training data gets the vector that one more step of the same least squares would give.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from model.datasets.interactions import Ints
from model.recommenders.factors import one_thread, padded, user_items, with_neighbors_by
from model.recommenders.from_history import FromHistory
from model.recommenders.kinds import Learned, Progress, Size, TrainingSet
from model.training.train import TrainConfig

SETTINGS = TrainConfig(epochs=15)


@dataclass(frozen=True, slots=True)
class Options:
    """The options of ALS.

    Attributes:
        alpha: confidence that a weight of 1 adds to the 1 of an item without interaction.
        l2: penalty on the vectors' squares.
        decay: weight of an item as a share of the next newer one's.
    """

    alpha: float = 20.0
    l2: float = 50.0
    decay: float = 0.85


DEFAULTS = Options()


class ALS(FromHistory):
    """A ranking by dot product with the user's vector, which is solved for from the history.

    The user is the vector u that minimises the sum over all items of c (p - u'y)^2, plus l2 |u|^2, where the history's
    items have p = 1 and c = 1 + alpha * weight * recency, and all others p = 0 and c = 1.
    """

    alpha: float

    def __init__(self, items: Tensor, counts: Ints, k: int, options: Options) -> None:
        """Build the model from the item vectors, (n + 1, D)."""
        super().__init__(counts, k, options.decay)
        self.alpha = options.alpha
        self.register_buffer("items", items)
        self.register_buffer("gram", items.T @ items + options.l2 * torch.eye(items.size(1)))

    def affinity(self, history: Tensor, recency: Tensor, weight: Tensor) -> Tensor:
        """Score every model index by the user's vector. (B, L) each -> (B, n + 1)."""
        vectors = self.items[history]  # (B, L, D)
        extra = self.alpha * recency * weight  # (B, L)
        left = self.gram + (vectors * extra.unsqueeze(2)).transpose(1, 2) @ vectors  # (B, D, D)
        right = ((1.0 + extra).unsqueeze(1) @ vectors).transpose(1, 2)  # (B, D, 1); a pad adds nothing, its vector is 0
        return F.linear(torch.linalg.solve(left, right).squeeze(2), self.items)


def fit(
    data: TrainingSet, size: Size, settings: TrainConfig, progress: Progress, options: Options = DEFAULTS
) -> Learned:
    """Train ALS in `settings.epochs` rounds of alternating least squares."""
    from implicit.cpu.als import AlternatingLeastSquares

    def after_round(done: int, *_: object) -> None:
        progress(f"training als, round {done + 1} of {settings.epochs}")

    with one_thread():
        trainer: Any = AlternatingLeastSquares(
            factors=size.dim,
            regularization=options.l2,
            iterations=settings.epochs,
            random_state=settings.seed,
            num_threads=1,
        )
        trainer.fit(user_items(data.log, options.alpha), show_progress=False, callback=after_round)
    items = padded(trainer.item_factors)
    return with_neighbors_by(items, ALS(items, data.log.histories().counts(), size.k, options))
