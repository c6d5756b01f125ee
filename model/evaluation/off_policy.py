"""Off-policy evaluation: what another policy would have got, from what a policy with known probabilities was given.

Three estimates of the mean reward. Inverse propensity scoring (Horvitz and Thompson 1952) weights each reward by the
target policy's probability over the logging policy's. Self-normalised (Swaminathan and Joachims 2015), it divides by
the sum of the weights. Doubly robust (Dudik, Langford and Li 2011), it corrects a model of the rewards by the weighted
errors of the model. Intervals are bootstrapped over clusters, as one user's rewards are no independent trials.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model.datasets.interactions import Ints

_DRAWS = 2_000


@dataclass(frozen=True, slots=True)
class Logged:
    """Rewards under the logging policy, and the target policy's view of them; all (N,), N at least 1.

    Attributes:
        reward: the reward.
        weight: probability of what was shown under the target policy, over that under the logging policy.
        expected: a model's reward of what was shown, learned from other clusters.
        expected_target: the model's mean reward under the target policy, in the same place.
        cluster: number of the user, or whatever is independent of the others.
    """

    reward: npt.NDArray[np.float64]
    weight: npt.NDArray[np.float64]
    expected: npt.NDArray[np.float64]
    expected_target: npt.NDArray[np.float64]
    cluster: Ints


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean reward with its 95 % bootstrap interval; `value` is NaN where the target policy shows nothing logged."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Estimates:
    """The three estimates of one policy.

    Attributes:
        ips: by inverse propensity scoring.
        self_normalised: the same, divided by the mean weight.
        doubly_robust: with a model of the rewards.
        effective: number of equally weighted rewards that would tell as much: sum(w) ** 2 / sum(w ** 2).
    """

    ips: Estimate
    self_normalised: Estimate
    doubly_robust: Estimate
    effective: float


def estimate(logged: Logged, *, seed: int = 0) -> Estimates:
    """Return the target policy's mean reward, by three estimates; the same seed gives the same intervals."""
    weighted = logged.weight * logged.reward
    corrected = logged.expected_target + logged.weight * (logged.reward - logged.expected)
    _, number = np.unique(logged.cluster, return_inverse=True)
    rows = (weighted, logged.weight, corrected, np.ones_like(weighted))
    sums = np.stack([np.bincount(number, row) for row in rows], axis=1)  # (clusters, 4)
    random = np.random.default_rng(seed)
    drawn = np.stack([sums[random.integers(len(sums), size=len(sums))].sum(0) for _ in range(_DRAWS)])
    values, resampled = _ratios(sums.sum(0)[None])[0], _ratios(drawn)
    known = np.where(np.isnan(resampled), values, resampled)  # a draw without any weight tells nothing
    low, high = np.percentile(known, [2.5, 97.5], axis=0)
    found = [Estimate(*map(float, each)) for each in zip(values, low, high, strict=True)]
    squares = float((logged.weight**2).sum())
    effective = float(logged.weight.sum()) ** 2 / squares if squares else 0.0
    return Estimates(found[0], found[1], found[2], effective)


def cross_fitted(kind: Ints, reward: npt.NDArray[np.float64], fold: Ints, strength: float) -> npt.NDArray[np.float64]:
    """Return each kind's mean reward outside of each fold, drawn to the mean of all as if by `strength` more rewards.

    Args:
        kind: of what was shown, 0 to K - 1. (N,).
        reward: (N,).
        fold: 0 or 1; all of one cluster have one. (N,).
        strength: above 0.

    Returns:
        (2, K): the means for rewards of fold 0, learned from fold 1, and the other way round.
    """
    kinds = int(kind.max(initial=0)) + 1
    means = []
    for own in (0, 1):
        other = fold != own
        count = np.bincount(kind[other], minlength=kinds)
        total = np.bincount(kind[other], reward[other], kinds)
        overall = total.sum() / max(count.sum(), 1)
        means.append((total + strength * overall) / (count + strength))
    return np.stack(means)


def _ratios(sums: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the estimates of sums of (weighted rewards, weights, corrected rewards, ones). (D, 4) -> (D, 3)."""
    weighted, weight, corrected, count = sums.T
    normalised = np.divide(weighted, weight, out=np.full_like(weighted, np.nan), where=weight > 0)
    return np.stack([weighted / count, normalised, corrected / count], axis=1)
