"""How sure the figures of an A/B test are.

Users are dealt over variants, so the user is the unit: a user's figure is the share of hits among the behaviours, a
variant's the mean of its users'. One crawler with 20,000 behaviours is one user of many, and as every figure lies
between 0 and 1 no tail is heavy. (Of a ratio of sums over users, as before, a crawler is most of one variant's sum: it
was called a winner in 67 to 86 of 100 tests of a variant with itself.)

An interval is the difference of two means, plus and minus so many standard errors, the larger of:

- the 95 % quantile of what users dealt over the variants anew would give, a permutation test of the studentised
  difference. Where variants do not differ it is exact for any distribution and any number of users; where they differ
  in spread alone it holds for many users (Chung and Romano, "Exact and asymptotically robust permutation tests", The
  Annals of Statistics 41, 2013);
- the bound that a mean stays below with 95 % at all times together, so that one may look as often as one likes:
  Robbins' normal mixture ("Statistical methods related to the law of the iterated logarithm", The Annals of
  Mathematical Statistics 41, 1970), as for A/B tests in Johari, Koomen, Pekelis and Walsh ("Always valid inference",
  Operations Research 70, 2022). It takes means for normal, as they are with many users.

Who looks once, at a time fixed beforehand, needs the first alone. Pure: no tables.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

Shares = npt.NDArray[np.float64]
"""float64[users]: of each user the share of hits, 0 to 1."""
ALPHA = 0.05
DRAWS = 1_999
"""How often users are dealt anew, where they are few; with many fewer do."""
_MOST_DEALT = 40_000_000
_FEWEST_DRAWS = 199
_AT_ONCE = 2_000_000
_EXPECTED = 0.02
"""The difference at which the always valid bound is narrowest; another one would be as right, and wider here."""
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure, its standard error, and how many of those its interval reaches to either side.

    Both are None where too few users tell nothing of them.
    """

    value: float
    error: float | None = None
    reach: float | None = None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The range that holds the true figure with 95 %."""
        if self.error is None or self.reach is None:
            return None
        return self.value - self.reach * self.error, self.value + self.reach * self.error


def mean_share(shares: Shares, *, once: bool = False) -> Estimate:
    """The mean of users' shares; of nobody 0, with no error."""
    if len(shares) < 2 or not (error := _error(shares)):
        return Estimate(float(shares.mean()) if len(shares) else 0.0)
    return Estimate(float(shares.mean()), error, _normal(ALPHA) if once else always_valid(error, ALPHA))


def difference(
    shares: Shares, baseline: Shares, *, comparisons: int = 1, once: bool = False, draws: int = DRAWS
) -> Estimate:
    """The mean of one variant's users less that of the baseline's.

    Args:
        shares: of the variant's users.
        baseline: of the baseline's.
        comparisons: how many there are; together they are wrong in 5 % at most (Bonferroni).
        once: whether this is the only look, at a time that was fixed beforehand.
        draws: how often users are dealt anew.
    """
    value = float(shares.mean() - baseline.mean()) if len(shares) and len(baseline) else 0.0
    if min(len(shares), len(baseline)) < 2 or not (error := math.hypot(_error(shares), _error(baseline))):
        return Estimate(value)
    alpha = ALPHA / comparisons
    reach = dealt_anew(shares, baseline, alpha, draws)
    return Estimate(value, error, reach if once else max(reach, always_valid(error, alpha)))


def always_valid(error: float, alpha: float) -> float:
    """How many standard errors a mean stays within at all times together, with probability 1 - alpha."""
    known = (_EXPECTED / error) ** 2
    return math.sqrt((1 + 1 / known) * (math.log1p(known) - 2 * math.log(alpha)))


def dealt_anew(shares: Shares, baseline: Shares, alpha: float, draws: int = DRAWS) -> float:
    """What |difference| / error has to be above, so that chance alone is above it with probability alpha at most.

    Infinite where users are too few for that.
    """
    everyone = np.concatenate([shares, baseline])
    draws = max(_FEWEST_DRAWS, min(draws, _MOST_DEALT // len(everyone)), math.ceil(2 / alpha))
    by_chance = np.concatenate(list(_dealings(everyone, len(shares), draws)))
    beyond = int(alpha * (draws + 1) + _ROUNDING)  # the deal there is counts as one more
    return float(np.sort(by_chance)[-beyond]) * (1 + _ROUNDING)


def ratio_mismatch(users: Sequence[int], weights: Sequence[float]) -> float:
    """How likely numbers of users are at least this far from the weights by chance: Pearson's chi-square test.

    A value below 0.001 means that something else than the hash decided who is counted in which variant.

    Args:
        users: of each variant; there are two variants at least.
        weights: of each variant, all above 0.
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
    """|difference| / error of the first so many users and the others, for dealings of all of them at random."""
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
