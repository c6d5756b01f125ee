"""The measures of a ranking, and the confidence interval of two recommenders' difference."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from model.datasets.interactions import Ints
from model.evaluation.evaluate import Gains, Ranking

_RESAMPLES = 2_000


@dataclass(frozen=True, slots=True)
class Measures:
    """The quality of one trained recommender's lists; a mean over nothing is NaN.

    Attributes:
        hr: share of targets in the list.
        ndcg: mean over targets of 1 / log2(rank + 1), or 0 outside the list (Järvelin and Kekäläinen 2002).
        mrr: mean over targets of 1 / rank in all that the recommender returns, or 0 if it does not return the target.
        coverage: share of the vocabulary that is in at least one list.
        novelty: mean of -log2 of the listed items' share of the training behaviours, bits (Zhou et al. 2010).
    """

    hr: float
    ndcg: float
    mrr: float
    coverage: float
    novelty: float


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean and sample deviation over seeds; the deviation of a single seed is None."""

    mean: Measures
    deviation: Measures | None


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean difference with its 95 % interval.

    Attributes:
        difference: first less second.
        low: 2.5 % of the resampled differences are smaller.
        high: 2.5 % are larger.
    """

    difference: float
    low: float
    high: float


def measures_of(ranking: Ranking, counts: Ints, top: int) -> Measures:
    """Measure lists of `top` items.

    Args:
        ranking: the recommender's answers.
        counts: occurrences in the training histories by model index, (n + 1,).
        top: length of a list.
    """
    listed = ranking.items[:, :top]
    listed = listed[listed > 0]
    items = len(counts) - 1
    # One is added to each count, so that an item without training behaviours has a share and a finite novelty.
    share = (counts[1:] + 1) / (counts[1:].sum() + items)
    return Measures(
        hr=_mean(ranking.hits(top)),
        ndcg=_mean(ranking.gains(top)),
        mrr=_mean(np.where(ranking.rank > 0, 1.0 / np.maximum(ranking.rank, 1), 0.0)),
        coverage=len(np.unique(listed)) / items,
        novelty=_mean(-np.log2(share[listed - 1])),
    )


def spread_of(runs: Sequence[Measures]) -> Spread:
    """Return the mean and the deviation of a recommender's runs with several seeds."""
    table = np.array([[getattr(run, field.name) for field in fields(Measures)] for run in runs])
    deviation = Measures(*table.std(0, ddof=1).tolist()) if len(runs) > 1 else None
    return Spread(Measures(*table.mean(0).tolist()), deviation)


def paired_bootstrap(first: Gains, second: Gains, user: Ints, *, seed: int = 0) -> Interval:
    """Return the first's mean advantage on the same targets, with its 95 % bootstrap interval.

    Whole users are drawn with replacement (Efron and Tibshirani 1993), because a user's targets are no
    independent trials.

    Args:
        first: gain of each target, (T,).
        second: gain of the same targets, (T,).
        user: user of each target, (T,).
        seed: seed of the draws.
    """
    _, number = np.unique(user, return_inverse=True)
    users = int(number.max()) + 1
    gained = np.bincount(number, first - second, users)  # (U,)
    targets = np.bincount(number, minlength=users)  # (U,)
    random = np.random.default_rng(seed)
    draws = (random.integers(users, size=users) for _ in range(_RESAMPLES))
    means = [gained[drawn].sum() / targets[drawn].sum() for drawn in draws]
    low, high = np.percentile(means, [2.5, 97.5])
    return Interval(float((first - second).mean()), float(low), float(high))


def _mean(values: npt.NDArray[np.generic]) -> float:
    return float(values.mean()) if values.size else math.nan
