"""Matrix factorisation by Bayesian personalised ranking (Rendle et al. 2009), trained by implicit.

A user who is not in the training data gets the vector that one step of the same gradient gives from zero: the mean of
the history's item vectors, less the mean of all items, from which the negatives are drawn.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from model.recommenders.factors import MeanOfItems, one_thread, padded, user_items, with_neighbors_by
from model.recommenders.kinds import Learned, Progress, Size, TrainingSet
from model.training.train import TrainConfig

SETTINGS = TrainConfig(epochs=150, learning_rate=0.05)


@dataclass(frozen=True, slots=True)
class Options:
    """The options of BPR.

    Attributes:
        l2: penalty on the vectors' squares.
        decay: weight of an item as a share of the next newer one's.
    """

    l2: float = 0.01
    decay: float = 0.85


DEFAULTS = Options()


def fit(
    data: TrainingSet, size: Size, settings: TrainConfig, progress: Progress, options: Options = DEFAULTS
) -> Learned:
    """Train BPR in `settings.epochs` rounds, each of which draws as many pairs as the user-item matrix has entries."""
    from implicit.cpu.bpr import BayesianPersonalizedRanking

    pairs = user_items(data.log, 0.0)
    with one_thread():
        trainer: Any = BayesianPersonalizedRanking(
            factors=size.dim,
            learning_rate=settings.learning_rate,
            regularization=options.l2,
            iterations=1,
            random_state=np.random.default_rng(settings.seed),
            num_threads=1,
        )
        for done in range(settings.epochs):
            trainer.fit(pairs, show_progress=False)
            progress(f"training bpr, round {done + 1} of {settings.epochs}")
    items = padded(trainer.item_factors)  # (n + 1, D + 1); the last column is the bias
    centred = items - items[1:].mean(0)
    centred[:, -1] = 1.0
    counts = data.log.histories().counts()
    return with_neighbors_by(items[:, :-1], MeanOfItems(centred, items, counts, size.k, options.decay))
