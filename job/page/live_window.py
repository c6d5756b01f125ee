"""The last minutes of the loop, second by second: behaviours, lists, and the freshness of the lists.

Pure: whoever calls passes the time. What a second holds does not depend on how many people watch.
"""

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

SECONDS = 300
"""The length of the window."""
_MOST_SAMPLED = 1_000
"""Freshness of so many lists a second is kept; at more lists a second, of the first of them."""


@dataclass(slots=True)
class _Second:
    behaviors: int = 0
    lists: int = 0
    freshness_ms: list[int] = field(default_factory=list)


Point = tuple[int, int, int, int | None, int | None]
"""A second (epoch seconds), its behaviours, its lists, and their freshness: median and 95th percentile, ms."""


class LiveWindow:
    """Counts by second over the last `SECONDS`."""

    def __init__(self) -> None:
        self._seconds: dict[int, _Second] = {}
        self._order: deque[int] = deque()

    def add_behavior(self, at_ms: int) -> None:
        """Count a behaviour at a time."""
        self._second(at_ms).behaviors += 1

    def add_list(self, at_ms: int, freshness_ms: int | None) -> None:
        """Count a list at a time, and its freshness where it is known."""
        second = self._second(at_ms)
        second.lists += 1
        if freshness_ms is not None and len(second.freshness_ms) < _MOST_SAMPLED:
            second.freshness_ms.append(freshness_ms)

    def points(self, now_ms: int, since_s: int = 0) -> list[Point]:
        """Return the seconds that are over, the oldest first, empty ones included.

        Args:
            now_ms: the time now; its second is not over.
            since_s: only seconds after this one.
        """
        now_s = now_ms // 1000
        first = max(now_s - SECONDS, since_s + 1)
        return [self._point(second) for second in range(first, now_s)]

    def _point(self, second: int) -> Point:
        found = self._seconds.get(second)
        if found is None:
            return second, 0, 0, None, None
        ordered = sorted(found.freshness_ms)
        return second, found.behaviors, found.lists, percentile(ordered, 0.5), percentile(ordered, 0.95)

    def _second(self, at_ms: int) -> _Second:
        second = at_ms // 1000
        found = self._seconds.get(second)
        if found is None:
            found = self._seconds[second] = _Second()
            self._order.append(second)
            while len(self._order) > SECONDS + 60:  # a few more, as clocks of a log and of this machine differ
                self._seconds.pop(self._order.popleft(), None)
        return found


def percentile(ordered: Iterable[int], share: float) -> int | None:
    """Return the value at a share of ordered values; None if there are none."""
    values = list(ordered)
    return values[max(0, math.ceil(share * len(values)) - 1)] if values else None
