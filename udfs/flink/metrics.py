"""The metrics operators report to Flink, by name; the Prometheus reporter and `recloop status` read them."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Any, Protocol


class Metric(StrEnum):
    """Counters; all but `next_offset` begin with the operator's latest start.

    None is score-candidates': a counter of a process-mode operator is lost where another thread than the worker's
    own counts, as an AsyncFunction's event loop and executor do.
    """

    POLLS = "polls"
    """poll-log: reads of one partition, empty ones included."""
    DEAD_LETTERS = "dead_letters"
    """poll-log: records that were no behaviour."""
    OFFSETS_GONE = "offsets_gone"
    """poll-log: offsets that were removed before they were read, by retention or compaction, and stepped over.

    With Flink's own connector also those of transactions' marks: it does not distinguish them.
    """
    LOG_SILENT_MS = "log_silent_ms"
    """find-partitions and poll-log: a level, not a count: for how long the log's brokers have not answered."""
    BEHAVIORS_APPLIED = "behaviors_applied"
    """track-users: behaviours that changed a profile."""
    DUPLICATES = "duplicates"
    """track-users: repeated event ids."""
    LISTS = "lists"
    """update-lists: lists made."""
    HISTORIES_SCORED = "histories_scored"
    """update-lists: of these, from a model's scores."""
    HISTORIES_STEPPED = "histories_stepped"
    """update-lists: of those scored, by one step from a kept state; over `histories_scored` it is the hit ratio."""
    SCORE_CACHE_HITS = "score_cache_hits"
    """update-lists: of those scored, by a stored answer of the model to the same question."""
    FALLBACKS = "fallbacks"
    """update-lists, group `reason.R` of each `FallbackReason`: of these, fallback lists."""
    LISTS_SWEPT = "lists_swept"
    """update-lists: lists made anew without an item that was withdrawn, beside those counted as `lists`."""
    SWAPS = "swaps"
    """update-lists: models that replaced another at a scorer, between two batches; reported with its next element."""
    SWAP_FAILURES = "swap_failures"
    """update-lists: models that did not load at a scorer, which goes on with the one before; reported likewise."""
    COLLECTIONS = "full_collections"
    """update-lists, group `interpreter.I`, operators or scorer: full garbage collections, which hold up all lists."""
    COLLECTION_MS = "full_collection_ms"
    """update-lists, likewise: the time that they took."""
    NEXT_OFFSET = "next_offset"
    """poll-log, group `partition.N`: the offset that is read next."""


class Counter(Protocol):
    """The part of PyFlink's counter that is used here."""

    def inc(self, n: int = 1) -> None:
        """Count n more."""


class Level:
    """A counter that goes up and down: PyFlink's gauges are read from other threads than the operator's."""

    def __init__(self, context: Any, metric: Metric) -> None:
        self._counter = context.get_metrics_group().counter(metric.value)
        self._value = 0

    def set(self, value: int) -> None:
        """Show this value from now on."""
        if value != self._value:
            self._counter.inc(value - self._value)
            self._value = value


def counters_by(context: Any, metric: Metric, label: str, values: Iterable[str]) -> dict[str, Counter]:
    """Return one counter per value of the label, each in a group of its own."""
    group = context.get_metrics_group()
    return {value: group.add_group(label, value).counter(metric.value) for value in values}


def counters(context: Any, *metrics: Metric) -> list[Counter]:
    """Return the counters of an operator, given its RuntimeContext."""
    group = context.get_metrics_group()
    return [group.counter(metric.value) for metric in metrics]
