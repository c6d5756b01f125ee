"""Confidence intervals for the figures of an A/B test.

Users are assigned to variants, so the user is the unit: a user's figure is the share of hits among the behaviours, and
a variant's figure is the mean over its users. One crawler with 20,000 behaviours is one user among many, and as every
figure lies between 0 and 1 no tail is heavy. (In a ratio of sums over users, a crawler makes up most of one variant's
sum: in 67 to 86 of 100 tests of a variant with itself it made that variant win.)

An interval is the difference of two means, plus and minus a number of standard errors, the larger of:

- the 95 % quantile over random reassignments of the users, a permutation test of the studentised difference. If the
  variants do not differ, it is exact for any distribution and any number of users; if they differ in spread only, it
  holds for many users (Chung and Romano, "Exact and asymptotically robust permutation tests", The Annals of Statistics
  41, 2013);
- the bound that a mean stays below with 95 % at all times together, so that the test may be evaluated as often as one
  likes: Robbins' normal mixture ("Statistical methods related to the law of the iterated logarithm", The Annals of
  Mathematical Statistics 41, 1970), applied to A/B tests by Johari, Koomen, Pekelis and Walsh ("Always valid
  inference", Operations Research 70, 2022). It assumes normal means, which holds with many users.

A test that is evaluated once, at a time fixed beforehand, needs only the first. Pure: no tables.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

Shares = npt.NDArray[np.float64]
"""float64[users]: each user's share of hits, 0 to 1."""
ALPHA = 0.05
DRAWS = 1_999
"""The number of random reassignments if users are few; with many users fewer are enough."""
_MOST_DEALT = 40_000_000
_FEWEST_DRAWS = 199
_AT_ONCE = 2_000_000
_EXPECTED = 0.02
"""The difference at which the always valid bound is narrowest; another value is as correct, but wider here."""
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure, its standard error, and the reach of its interval to either side in standard errors.

    The figure is NaN if there are no users; error and reach are None if there are too few users to estimate them.
    """

    value: float
    error: float | None = None
    reach: float | None = None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % confidence interval; None if there are too few users."""
        if self.error is None or self.reach is None:
            return None
        return self.value - self.reach * self.error, self.value + self.reach * self.error


def mean_share(shares: Shares, *, once: bool = False) -> Estimate:
    """Return the mean of users' shares; NaN if there are no users."""
    if len(shares) < 2 or not (error := _error(shares)):
        return Estimate(float(shares.mean()) if len(shares) else math.nan)
    return Estimate(float(shares.mean()), error, _normal(ALPHA) if once else always_valid(error, ALPHA))


def difference(
    shares: Shares, baseline: Shares, *, comparisons: int = 1, once: bool = False, draws: int = DRAWS
) -> Estimate:
    """Return the mean over a variant's users minus the mean over the baseline's; NaN if either has no users.

    Args:
        shares: the shares of the variant's users.
        baseline: the shares of the baseline's users.
        comparisons: the number of comparisons; all together err in 5 % at most (Bonferroni).
        once: whether the test is evaluated only once, at a time that was fixed beforehand.
        draws: the number of random reassignments of the users.
    """
    value = float(shares.mean() - baseline.mean()) if len(shares) and len(baseline) else math.nan
    if min(len(shares), len(baseline)) < 2 or not (error := math.hypot(_error(shares), _error(baseline))):
        return Estimate(value)
    alpha = ALPHA / comparisons
    reach = dealt_anew(shares, baseline, alpha, draws)
    return Estimate(value, error, reach if once else max(reach, always_valid(error, alpha)))


def always_valid(error: float, alpha: float) -> float:
    """Return how many standard errors a mean stays within at all times together, with probability 1 - alpha."""
    known = (_EXPECTED / error) ** 2
    return math.sqrt((1 + 1 / known) * (math.log1p(known) - 2 * math.log(alpha)))


def dealt_anew(shares: Shares, baseline: Shares, alpha: float, draws: int = DRAWS) -> float:
    """Return the value of |difference| / error that chance exceeds with probability alpha at most.

    It is estimated from random reassignments of the users, and infinite if there are too few of them.
    """
    everyone = np.concatenate([shares, baseline])
    draws = max(_FEWEST_DRAWS, min(draws, _MOST_DEALT // len(everyone)), math.ceil(2 / alpha))
    by_chance = np.concatenate(list(_dealings(everyone, len(shares), draws)))
    beyond = int(alpha * (draws + 1) + _ROUNDING)  # the assignment there is counts as one more
    return float(np.sort(by_chance)[-beyond]) * (1 + _ROUNDING)


def ratio_mismatch(users: Sequence[int], weights: Sequence[float]) -> float:
    """Return the p-value of the numbers of users under the weights, by Pearson's chi-square test.

    A value below 0.001 means that something other than the hash decided which variant a user counts in.

    Args:
        users: the number of users of each variant; at least two variants.
        weights: the weight of each variant, all above 0.
    """
    total, share = sum(users), sum(weights)
    expected = [total * weight / share for weight in weights]
    chi_square = sum((seen - due) ** 2 / due for seen, due in zip(users, expected, strict=True))
    import torch  # takes seconds, and most reports need none of it

    # The chi-square distribution's upper tail is the regularised upper incomplete gamma function.
    halves = torch.tensor([(len(users) - 1) / 2, chi_square / 2], dtype=torch.float64)
    return float(torch.special.gammaincc(halves[0], halves[1]))


def _normal(alpha: float) -> float:
    return NormalDist().inv_cdf(1 - alpha / 2)


def _error(shares: Shares) -> float:
    return float(shares.std(ddof=1)) / math.sqrt(len(shares))


def _dealings(everyone: Shares, first: int, draws: int) -> Iterator[Shares]:
    """Yield arrays of |difference| / error between `first` users and the others, one value a random assignment."""
    random = np.random.default_rng(0)  # the same tables give the same report
    at_once = max(1, _AT_ONCE // len(everyone))
    for begin in range(0, draws, at_once):
        dealt = np.tile(everyone, (min(at_once, draws - begin), 1))  # (draws, users)
        random.permuted(dealt, axis=1, out=dealt)
        yield _studentized(dealt[:, :first], dealt[:, first:])


def _studentized(ones: Shares, others: Shares) -> Shares:
    gap = np.abs(ones.mean(axis=1) - others.mean(axis=1))
    spread = np.sqrt(ones.var(axis=1, ddof=1) / ones.shape[1] + others.var(axis=1, ddof=1) / others.shape[1])
    return np.where(gap < _ROUNDING, 0.0, np.where(spread > _ROUNDING, gap / np.maximum(spread, _ROUNDING), np.inf))
