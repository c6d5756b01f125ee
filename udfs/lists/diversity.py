"""Diversity: of the items that are left, the one that is good and unlike those above it comes next.

Maximal marginal relevance (Carbonell and Goldstein 1998), with the bundle's neighbours as the likeness. Pure.
"""

from collections.abc import Iterator, Sequence

from udfs.lists.entries import Entry
from udfs.lists.list_rules import Near


def diversified(ranked: Sequence[Entry], weight: float, near: Near) -> Iterator[Entry]:
    """Yield the entries, best first by (1 - weight) * score + weight * (1 - likeness), which is their new score.

    An entry's likeness is that of the yielded item most like it, so it only rises, and new scores only fall. They stay
    from 0 to 1. The entries are ordered only as far as they are taken.

    Args:
        ranked: entries with scores from 0 to 1; each item once.
        weight: 0 is the order by score; 1 regards likeness alone.
        near: the neighbours of an item.
    """
    left = {entry[1]: entry for entry in ranked}
    neighbors = {item_id: near(item_id) for item_id in left}
    likeness = dict.fromkeys(left, 0.0)

    def value_and_id(item_id: str) -> tuple[float, str]:
        return (1.0 - weight) * left[item_id][0] - weight * (1.0 - likeness[item_id]), item_id

    while left:
        best = min(map(value_and_id, left))
        _, item_id, reason = left.pop(best[1])
        yield best[0], item_id, reason
        near_best = neighbors[item_id]
        for other in left:
            alike = max(near_best.get(other, 0.0), neighbors[other].get(item_id, 0.0))
            likeness[other] = max(likeness[other], alike)
