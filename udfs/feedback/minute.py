"""The loop's measures, minute by minute: counts, batch sizes, and freshness as a histogram that can be added up.

Freshness is the time from a behaviour's append to the log until its list is made, in milliseconds.
Pure: no Flink, no clock.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from udfs.elements import FallbackReason, ScoredBehavior
from udfs.rows import FeedbackMetricsRow
from udfs.state_bytes import VERSION_1, VERSION_2, of_versions

_Key = TypeVar("_Key")
MINUTE_MS = 60_000
_KEPT_MINUTES = 60
"""Number of minutes that parts can still be added to; a part comes late where the job was stopped in its minute."""
_STEPS_PER_OCTAVE = 16
"""Histogram steps: neighbouring bounds differ by a factor of 2 ** (1 / 16), so a percentile is off by 4.4 % at most.

Step s ends at 2 ** (s / 16) ms, and step -1 is 0 ms.
"""


@dataclass(slots=True)
class Minute:
    """The counts of one minute, by the clock of the subtask that made the lists.

    Attributes:
        minute: its start, epoch ms.
        events: behaviours that were applied, each of which made a list.
        fallback_reasons: reason why there were no scores -> fallbacks; from version 2 on.
        freshness: histogram step -> lists; only of behaviours whose append time is known.
        batch_sizes: the sum over scored behaviours of the size of the batch that scored them.
        epoch: the highest epoch of the behaviours.
        revision: number of rows written of this minute.
        changed: whether something was added since.
    """

    minute: int
    events: int = 0
    duplicates: int = 0
    scored: int = 0
    fallbacks: int = 0
    batch_sizes: int = 0
    batch_size_max: int = 0
    freshness: dict[int, int] = field(default_factory=dict)
    freshness_max_ms: int = 0
    epoch: int = 0
    revision: int = 0
    changed: bool = False
    fallback_reasons: dict[str, int] = field(default_factory=dict)

    def count(self, scored: ScoredBehavior, now_ms: int) -> None:
        """Count one behaviour whose list was made at `now_ms`."""
        self.events += 1
        if scored.batch_size is not None:
            self.scored += 1
            self.batch_sizes += scored.batch_size
            self.batch_size_max = max(self.batch_size_max, scored.batch_size)
        if scored.fallback_reason is not None:
            self.fallbacks += 1
            _add_to(self.fallback_reasons, {scored.fallback_reason: 1})
        if scored.behavior.appended_at is not None:
            freshness_ms = max(0, now_ms - scored.behavior.appended_at)
            step = math.ceil(_STEPS_PER_OCTAVE * math.log2(freshness_ms)) if freshness_ms > 0 else -1
            _add_to(self.freshness, {step: 1})
            self.freshness_max_ms = max(self.freshness_max_ms, freshness_ms)

    def add(self, other: "Minute") -> None:
        """Add another part of the same minute."""
        self.changed = True
        self.events += other.events
        self.duplicates += other.duplicates
        self.scored += other.scored
        self.fallbacks += other.fallbacks
        self.batch_sizes += other.batch_sizes
        self.batch_size_max = max(self.batch_size_max, other.batch_size_max)
        _add_to(self.fallback_reasons, other.fallback_reasons)
        _add_to(self.freshness, other.freshness)
        self.freshness_max_ms = max(self.freshness_max_ms, other.freshness_max_ms)
        self.epoch = max(self.epoch, other.epoch)

    def percentile_ms(self, share: float) -> float | None:
        """Return the freshness that this share (0 to 1) of the lists kept within; None where nothing was measured."""
        if not self.freshness:
            return None
        rank = math.ceil(share * sum(self.freshness.values()))
        for step in sorted(self.freshness):
            rank -= self.freshness[step]
            if rank <= 0:
                upper_ms = 2.0 ** (step / _STEPS_PER_OCTAVE) if step >= 0 else 0.0
                return min(upper_ms, self.freshness_max_ms)
        return float(self.freshness_max_ms)

    def row(self, number: int, now_ms: int) -> FeedbackMetricsRow:
        """Return the minute as the number-th row of feedback_metrics."""
        measured = bool(self.freshness)
        return FeedbackMetricsRow(
            minute=self.minute,
            revision=self.revision,
            events=self.events + self.duplicates,
            duplicates=self.duplicates,
            lists=self.events,
            scored=self.scored,
            fallbacks=self.fallbacks,
            **{f"fallbacks_{reason}": self.fallback_reasons.get(reason, 0) for reason in FallbackReason},
            batch_size_mean=self.batch_sizes / self.scored if self.scored else None,
            batch_size_max=self.batch_size_max or None,
            freshness_count=sum(self.freshness.values()),
            freshness_p50_ms=self.percentile_ms(0.50),
            freshness_p95_ms=self.percentile_ms(0.95),
            freshness_p99_ms=self.percentile_ms(0.99),
            freshness_max_ms=float(self.freshness_max_ms) if measured else None,
            number=number,
            written_at=now_ms,
            epoch=self.epoch,
        )


def minute_of(time_ms: int) -> int:
    """Return the start of the minute, epoch ms."""
    return time_ms - time_ms % MINUTE_MS


def due(minutes: Iterable[Minute], now_ms: int) -> list[Minute]:
    """Return the minutes that are over and of which a row is still to be written, oldest first, however old."""
    return sorted(
        (each for each in minutes if each.changed and each.minute + MINUTE_MS <= now_ms), key=lambda each: each.minute
    )


def forgettable(minutes: Iterable[Minute]) -> list[Minute]:
    """Return the minutes to forget: written ones beyond the newest `_KEPT_MINUTES`.

    They are counted, not dated, as the clock goes on during a stop.
    """
    newest_first = sorted(minutes, key=lambda each: each.minute, reverse=True)
    return [each for each in newest_first[_KEPT_MINUTES:] if not each.changed]


_decode = msgspec.msgpack.Decoder(Minute).decode


def encode_minute(minute: Minute) -> bytes:
    """Return a minute's state: a version byte, then MessagePack."""
    return VERSION_2 + msgspec.msgpack.encode(minute)


def decode_minute(state: bytes) -> Minute:
    """Return the minute that a state holds: the inverse of `encode_minute`.

    Raises:
        StateVersionError: the version byte is unknown.
    """
    _, rest = of_versions(state, VERSION_1, VERSION_2)
    return _decode(rest)


def _add_to(counts: dict[_Key, int], more: Mapping[_Key, int]) -> None:
    for key, count in more.items():
        counts[key] = counts.get(key, 0) + count
