"""The trends: each item's recent weight over all users, decayed by event time.

Forward decay (Cormode, Shkapenyuk, Srivastava and Xu 2009): a behaviour of weight w at time t adds
w * 2 ** ((t - landmark) / half_life). Sums compare as if every one had been decayed to now, and nothing has to be
touched as time goes on. Pure: no Flink, no clock.
"""

import heapq
import struct
from dataclasses import dataclass, field

from udfs.state_bytes import VERSION_1, version_1

_RENEW_AT_HALF_LIVES = 60.0
"""Beyond this the landmark moves: 2 ** 60 times a weight still adds exactly enough in a double."""
_NUMBER = struct.Struct("<d")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrendRules:
    """Rules for finding trends.

    Attributes:
        half_life_ms: after so much event time a behaviour counts half.
        capacity: number of items kept; beyond twice this the weakest go.
        size: most items of a snapshot.
        interval_ms: time from one snapshot to the next, by the clock.
    """

    half_life_ms: int
    capacity: int
    size: int
    interval_ms: int


@dataclass(slots=True)
class Trends:
    """The sums of all items.

    Attributes:
        landmark_ms: the event time that weights are relative to; None before the first behaviour.
        sums: item -> sum of forward-decayed weights.
    """

    landmark_ms: int | None = None
    sums: dict[str, float] = field(default_factory=dict)

    def add(self, item_id: str, weight: float, time_ms: int, rules: TrendRules) -> None:
        """Add one behaviour."""
        if self.landmark_ms is None:
            self.landmark_ms = time_ms
        age = (time_ms - self.landmark_ms) / rules.half_life_ms
        if age > _RENEW_AT_HALF_LIVES:
            self.landmark_ms = time_ms
            self.sums = {item: total * 2.0**-age for item, total in self.sums.items()}
            age = 0.0
        # 2 ** -1000 is still a double above 0, so what is older counts as well.
        self.sums[item_id] = self.sums.get(item_id, 0.0) + weight * 2.0 ** max(age, -1000.0)

    def strongest(self, count: int) -> dict[str, float]:
        """Return the strongest items, first the strongest, with strengths from 1 (that one's) down to 0."""
        best = heapq.nlargest(count, self.sums.items(), key=lambda entry: (entry[1], entry[0]))
        top = best[0][1] if best else 0.0
        return {item: total / top for item, total in best} if top > 0 else {}

    def prune(self, rules: TrendRules) -> list[str]:
        """Forget the weakest items beyond the capacity, once there are over twice as many; return those forgotten."""
        if len(self.sums) <= 2 * rules.capacity:
            return []
        kept = dict(heapq.nlargest(rules.capacity, self.sums.items(), key=lambda entry: (entry[1], entry[0])))
        gone = [item for item in self.sums if item not in kept]
        self.sums = kept
        return gone


def encode_sum(total: float) -> bytes:
    """Return an item's state: a version byte and 8 more."""
    return VERSION_1 + _NUMBER.pack(total)


def decode_sum(state: bytes) -> float:
    """Return the sum that a state holds: the inverse of `encode_sum`.

    Raises:
        StateVersionError: the version byte is unknown.
    """
    (total,) = _NUMBER.unpack(version_1(state))
    return float(total)
