"""Whether two runs made the same list of the same: scores may differ by a hair, and items as close as that may swap.

Only items that were scored may swap: what fills a short list has a fixed order. An item that the other list does not
show is a difference, however close: nothing in the rows tells a tie at the list's end from a wrong item.
"""

from job.drills.evidence import SeenList

TOLERANCE = 1e-5
_FILLS = frozenset({"trending", "popular"})


def difference(mine: SeenList, other: SeenList) -> str | None:
    """What sets two lists apart, in words; None where they are the same."""
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
        if told := _wrong_item(mine, other, place):
            return told
    return None


def _origin(each: SeenList) -> str:
    """What the list was made from: lists that happen to be alike are not the same."""
    because = f" because of {each.fallback_reason}" if each.fallback_reason else ""
    return f"{each.source}{because}, {f'model {each.model}' if each.model else 'no model'}"


def _wrong_item(mine: SeenList, other: SeenList, place: int) -> str | None:
    item, reason, score = mine.items[place], mine.reasons[place], mine.scores[place]
    if (item, reason) == (other.items[place], other.reasons[place]):
        return None
    told = f"{item} ({reason}) in place of {other.items[place]} ({other.reasons[place]}) at place {place}"
    if item not in other.items or mine.items.count(item) > 1 or reason in _FILLS:
        return told
    there = other.items.index(item)
    swapped = abs(score - other.scores[there]) <= TOLERANCE and reason == other.reasons[there]
    return None if swapped else told
