"""The entries of a list on its way: an item, its score, and the reason why it is there."""

from enum import IntEnum
from operator import itemgetter


class ReasonCode(IntEnum):
    """The reason why an item is in a list.

    An item id in place of a code means: because of that item of the history.
    """

    MODEL = 0
    TRENDING = 1
    POPULAR = 2
    HISTORY = 3
    EXPLORE = 4


Reason = int | str
"""A `ReasonCode` or the id of the history item that the listed one is a near neighbour of."""
Entry = tuple[float, str, Reason]
"""One item on its way into a list: minus its score, so that the best sorts first, its id, and why it is there."""
best_first = itemgetter(0, 1)
cost = itemgetter(0)


def reason_text(reason: Reason) -> str:
    """Return the reason as tables show it: "model", "trending", "popular", "history", "explore" or "because:ITEM"."""
    return f"because:{reason}" if isinstance(reason, str) else _REASON_TEXTS[reason]


_REASON_TEXTS = {int(code): code.name.lower() for code in ReasonCode}
