"""The age of behaviours when a reader can see the list that has seen them: counts by upper bound, for /metrics."""

from bisect import bisect_left
from collections.abc import Iterable
from typing import Final

import msgspec

BOUNDS_MS: Final = (10, 20, 30, 50, 75, 100, 150, 250, 500, 1_000, 2_500, 5_000, 10_000, 60_000)


class _Times(msgspec.Struct):
    appended_at: int | None = None


_decode = msgspec.json.Decoder(_Times).decode


class Freshness:
    """A histogram; one thread adds.

    Attributes:
        counts: lists whose age was at most each of `BOUNDS_MS`, and above the one before; the last are older.
        sum_ms: of all ages.
    """

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS_MS) + 1)
        self.sum_ms = 0

    def add(self, lists: Iterable[bytes], now_ms: int) -> None:
        """Count published lists, from the append of their behaviours to now."""
        for value in lists:
            if (appended_at := _decode(value).appended_at) is not None:
                age_ms = max(0, now_ms - appended_at)
                self.counts[bisect_left(BOUNDS_MS, age_ms)] += 1
                self.sum_ms += age_ms
