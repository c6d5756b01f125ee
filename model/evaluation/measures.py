"""Figures of a ranking, and how sure the difference of two recommenders is."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from model.datasets.interactions import Ints
from model.evaluation.evaluate import Gains, Ranking

RESAMPLES = 2_000


@dataclass(frozen=True, slots=True)
class Measures:
    """What the lists of one trained recommender are worth.

    Attributes:
        hr: share of targets in the list.
        ndcg: mean of 1 / log2(rank + 1) for those, 0 for the others (Järvelin and Kekäläinen 2002).
        mrr: mean of 1 / rank over all that the recommender returns, 0 for what it does not.
        coverage: share of the vocabulary that is in somebody's list.
        novelty: mean of -log2 of the listed items' share of the training behaviours, bits (Zhou et al. 2010).
    """

    hr: float
    ndcg: float
    mrr: float
    coverage: float
    novelty: float


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean and deviation over seeds; the deviation (of a sample) is None for a single one."""

    mean: Measures
    deviation: Measures | None


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean difference and the interval that holds it with 95 %.

    Attributes:
        difference: first less second.
        low: 2.5 % of the resampled differences are smaller.
        high: 2.5 % are larger.
    """

    difference: float
    low: float
    high: float


def measures_of(ranking: Ranking, counts: Ints, top: int) -> Measures:
    """Measures lists of `top` items.

    Args:
        ranking: what was answered.
        counts: occurrences in the training histories by model index, (n + 1,).
        top: length of a list.
    """
    listed = ranking.items[:, :top]
    listed = listed[listed > 0]
    items = len(counts) - 1
    # One more of each, so that an item nobody met has a share.
    share = (counts[1:] + 1) / (counts[1:].sum() + items)
    return Measures(
        hr=_mean(ranking.hits(top)),
        ndcg=_mean(ranking.gains(top)),
        mrr=_mean(np.where(ranking.rank > 0, 1.0 / np.maximum(ranking.rank, 1), 0.0)),
        coverage=len(np.unique(listed)) / items,
        novelty=_mean(-np.log2(share[listed - 1])),
    )


def spread_of(runs: Sequence[Measures]) -> Spread:
    """Mean and deviation of the same recommender's runs with several seeds."""
    table = np.array([[getattr(run, field.name) for field in fields(Measures)] for run in runs])
    deviation = Measures(*table.std(0, ddof=1).tolist()) if len(runs) > 1 else None
    return Spread(Measures(*table.mean(0).tolist()), deviation)


def paired_bootstrap(first: Gains, second: Gains, user: Ints, *, seed: int = 0) -> Interval:
    """How much better the first is on the same targets, and how sure that is.

    Whole users are drawn with replacement (Efron and Tibshirani 1993), because a user's targets are no
    independent trials.

    Args:
        first: gain of each target, (T,).
        second: gain of the same targets.
        user: whose each target is, (T,).
        seed: of the draws.
    """
    _, number = np.unique(user, return_inverse=True)
    users = int(number.max()) + 1
    gained = np.bincount(number, first - second, users)  # (U,)
    targets = np.bincount(number, minlength=users)  # (U,)
    random = np.random.default_rng(seed)
    draws = (random.integers(users, size=users) for _ in range(RESAMPLES))
    means = [gained[drawn].sum() / targets[drawn].sum() for drawn in draws]
    low, high = np.percentile(means, [2.5, 97.5])
    return Interval(float((first - second).mean()), float(low), float(high))


def _mean(values: npt.NDArray[np.generic]) -> float:
    return float(values.mean()) if values.size else 0.0
