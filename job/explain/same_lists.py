"""The comparison of two lists, of which scores may differ by a tolerance, and items within it may be swapped.

Only scored items may be swapped: the items that fill a short list have a fixed order. An item that the other list does
not contain is a difference, however close its score: the rows do not distinguish a tie at the list's end from a wrong
item.
"""

from dataclasses import dataclass

Offset = tuple[int, int]
"""(log partition, offset in it)."""

TOLERANCE = 1e-5
_FILLS = frozenset({"trending", "popular"})


@dataclass(frozen=True, slots=True)
class SeenList:
    """A row of recommendation_lists.

    Attributes:
        source: "scored", "fallback" or "rules".
        fallback_reason: why no model scored it, or None.
        model: version and hash of the bundle that scored it, or None.
        epoch: of the attempt that made it.
    """

    partition: int
    offset: int
    user_id: str
    list_version: int
    user_seq: int
    items: tuple[str, ...]
    scores: tuple[float, ...]
    reasons: tuple[str, ...]
    written_at: int
    source: str = "scored"
    fallback_reason: str | None = None
    model: str | None = None
    epoch: int = 1

    @property
    def at(self) -> Offset:
        """The place in the log of the behaviour that caused the list."""
        return self.partition, self.offset


def difference(mine: SeenList, other: SeenList) -> str | None:
    """Return a description of the first difference of two lists; None if they are the same."""
    if mine.user_seq != other.user_seq:
        return f"user_seq {mine.user_seq} in place of {other.user_seq}"
    if (made_of := _origin(mine)) != _origin(other):
        return f"{made_of} in place of {_origin(other)}"
    if len(mine.items) != len(other.items):
        return f"{len(mine.items)} items in place of {len(other.items)}"
    for place, (score, wanted) in enumerate(zip(mine.scores, other.scores, strict=True)):
        if abs(score - wanted) > TOLERANCE:
            return f"score {score} in place of {wanted} at place {place}"
    for place in range(len(mine.items)):
        if found := _wrong_item(mine, other, place):
            return found
    return None


def _origin(each: SeenList) -> str:
    """Return the list's source in words: lists with equal items but different sources are not the same."""
    because = f" because of {each.fallback_reason}" if each.fallback_reason else ""
    return f"{each.source}{because}, {f'model {each.model}' if each.model else 'no model'}"


def _wrong_item(mine: SeenList, other: SeenList, place: int) -> str | None:
    item, reason, score = mine.items[place], mine.reasons[place], mine.scores[place]
    if (item, reason) == (other.items[place], other.reasons[place]):
        return None
    found = f"{item} ({reason}) in place of {other.items[place]} ({other.reasons[place]}) at place {place}"
    if item not in other.items or mine.items.count(item) > 1 or reason in _FILLS:
        return found
    there = other.items.index(item)
    swapped = abs(score - other.scores[there]) <= TOLERANCE and reason == other.reasons[there]
    return None if swapped else found
