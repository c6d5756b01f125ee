"""Exploration: a few places of a list go to items drawn by chance, each with a probability that is known. Pure.

With known probabilities it can be estimated afterwards what other lists would have got: `model.evaluation.off_policy`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from udfs.lists.entries import Entry, ReasonCode


@dataclass(frozen=True, slots=True)
class Drawn:
    """A list in which some places are explored.

    Attributes:
        entries: best first; an explored item has the score of the item whose place it took.
        propensities: the probability with which each item got its place.
    """

    entries: list[Entry]
    propensities: list[float]


def explored(best: Sequence[Entry], pool: Sequence[str], share: float, seed: str) -> Drawn:
    """Give each place, with probability `share`, to an item of the pool; these are drawn without replacement.

    A place is explored or not whatever the others are, and any of the pool's N items is as likely as another there. So
    the probability of an item at its place is exactly 1 - share for a list's own, and share / N for the pool's. Where
    the pool is smaller than the list, only as many places as it has items may be explored, the last ones: above them
    an item's probability is 1.

    Args:
        best: the list, best first.
        pool: other items, none of which is in the list.
        share: 0 to 1.
        seed: the same seed draws the same.
    """
    draw, left = Random(seed), list(pool)
    certain = max(0, len(best) - len(pool))
    entries, propensities = list(best[:certain]), [1.0] * certain
    for score, item_id, reason in best[certain:]:
        if draw.random() < share:
            drawn = left.pop(int(draw.random() * len(left)))
            entries.append((score, drawn, ReasonCode.EXPLORE))
            propensities.append(share / len(pool))
        else:
            entries.append((score, item_id, reason))
            propensities.append(1.0 - share)
    return Drawn(entries, propensities)
