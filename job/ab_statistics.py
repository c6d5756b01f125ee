"""How sure the figures of an A/B test are.

Users are dealt over variants, not behaviours, and a user's behaviours resemble each other: as if they were independent
draws, an interval would be far too narrow. So the user is the unit, and a rate is a ratio of two sums over users,
whose variance is by the delta method (Deng, Knoblich and Lu, "Applying the Delta Method in Metric Analytics",
KDD 2018). Pure: no tables.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

_95_PERCENT = NormalDist().inv_cdf(0.975)
"""Half the width of a 95 % interval, in standard errors."""


@dataclass(frozen=True, slots=True)
class UserSums:
    """Sums over a variant's users, of whom each has `n` behaviours and `h` hits.

    Attributes:
        users: with at least one behaviour.
        n: sum of n; likewise `h`, `nn` of n * n, `hh` of h * h, `nh` of n * h.
    """

    users: int
    n: int
    h: int
    nn: int
    hh: int
    nh: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and its standard error, which is None where fewer than two users tell nothing of it."""

    value: float
    error: float | None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval."""
        if self.error is None:
            return None
        return self.value - _95_PERCENT * self.error, self.value + _95_PERCENT * self.error

    def minus(self, other: "Estimate") -> "Estimate":
        """The difference of two figures of different users."""
        if self.error is None or other.error is None:
            return Estimate(self.value - other.value, None)
        return Estimate(self.value - other.value, math.hypot(self.error, other.error))


def hit_rate(sums: UserSums) -> Estimate:
    """Hits a behaviour; of no behaviours 0, with no error."""
    if not sums.n:
        return Estimate(0.0, None)
    rate = sums.h / sums.n
    if sums.users < 2:
        return Estimate(rate, None)
    squares = sums.hh - 2 * rate * sums.nh + rate * rate * sums.nn  # of h - rate * n, whose sum is 0
    return Estimate(rate, math.sqrt(max(0.0, squares) * sums.users / (sums.users - 1)) / sums.n)


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
