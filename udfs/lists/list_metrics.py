"""The metrics of update-lists: counted an element, reported to Flink."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from udfs.elements import FallbackReason, ModelRef, ScoredBehavior, ScoredBy, ScoredElement
from udfs.flink.collector import pauses
from udfs.flink.metrics import Counter as FlinkCounter
from udfs.flink.metrics import Histogram, Metric, counter, counters, counters_by

FRESHNESS_BOUNDS_MS = (5, 10, 20, 35, 50, 100, 200, 500, 1_000, 2_000, 5_000, 15_000, 60_000)
_INTERPRETERS = ("operators", "scorer")
_NONE = ModelRef(version="none", hash="", variant="none")
"""The model of lists that no model serves."""


class ListMetrics:
    """The counters of one subtask."""

    def __init__(self, context: Any) -> None:
        self._context = context
        self._lists, self._scored = counters(context, Metric.LISTS, Metric.HISTORIES_SCORED)
        self._stepped, self._cached = counters(context, Metric.HISTORIES_STEPPED, Metric.SCORE_CACHE_HITS)
        self._batch_sizes, self._changed = counters(context, Metric.BATCH_SIZES, Metric.ITEMS_CHANGED)
        self._fallbacks = counters_by(context, Metric.FALLBACKS, FallbackReason)
        self._by_model: dict[tuple[str, str, str], FlinkCounter] = {}
        self._freshness = Histogram(context, Metric.FRESHNESS_MS, FRESHNESS_BOUNDS_MS)
        self._gaps, self._gap_ms = counters(context, Metric.BUNDLE_GAPS, Metric.BUNDLE_GAP_MS)
        self._swaps, self._swap_failures = counters(context, Metric.SWAPS, Metric.SWAP_FAILURES)
        self._collections = counters_by(context, Metric.COLLECTIONS, _INTERPRETERS)
        self._collection_ms = counters_by(context, Metric.COLLECTION_MS, _INTERPRETERS)
        (self.swept,) = counters(context, Metric.LISTS_SWEPT)
        self._items_changed = 0

    def count_changes(self, before: Sequence[str], now: Iterable[str]) -> None:
        """Count the items that a user's list before lacked, in the element's report; none for a first list."""
        if before:
            self._items_changed += len(set(now).difference(before))

    def count(self, element: ScoredElement, now_ms: int) -> None:
        """Count an element whose lists were made at `now_ms`."""
        self._count_lists(element.behaviors)
        self._count_models(element.models, element.behaviors)
        self._count_freshness(element.behaviors, now_ms)
        _add(self._changed, self._items_changed)
        self._items_changed = 0
        _add(self._gaps, element.gaps)
        _add(self._gap_ms, element.gap_ms)
        _add(self._swaps, sum(swap.outcome == "swapped" for swap in element.swaps))
        _add(self._swap_failures, sum(swap.outcome == "failed" for swap in element.swaps))
        for interpreter, (number, ms) in zip(_INTERPRETERS, (pauses(), element.pauses), strict=True):
            _add(self._collections[interpreter], number)
            _add(self._collection_ms[interpreter], ms)

    def report(self, now_ms: int) -> None:
        """Report what waits for the next element."""
        self._freshness.report(now_ms)

    def _count_lists(self, behaviors: Sequence[ScoredBehavior]) -> None:
        scored_by = [scored.candidates.scored_by for scored in behaviors if scored.candidates is not None]
        _add(self._lists, len(behaviors))
        _add(self._scored, len(scored_by))
        _add(self._stepped, scored_by.count(ScoredBy.STEP))
        _add(self._cached, scored_by.count(ScoredBy.CACHE))
        _add(self._batch_sizes, sum(scored.batch_size or 0 for scored in behaviors))
        for scored in behaviors:
            if scored.fallback_reason is not None:
                self._fallbacks[scored.fallback_reason].inc()

    def _count_models(self, models: Sequence[ModelRef], behaviors: Sequence[ScoredBehavior]) -> None:
        counts = Counter((scored.model, scored.candidates is not None) for scored in behaviors)
        for (index, is_scored), count in counts.items():
            model = _NONE if index is None else models[index]
            key = (model.variant, model.version, "scored" if is_scored else "unscored")
            if key not in self._by_model:
                self._by_model[key] = self._counter_of(*key)
            self._by_model[key].inc(count)

    def _counter_of(self, variant: str, version: str, source: str) -> FlinkCounter:
        return counter(self._context, Metric.LISTS_BY_MODEL, variant=variant, version=version, source=source)

    def _count_freshness(self, behaviors: Sequence[ScoredBehavior], now_ms: int) -> None:
        for scored in behaviors:
            if (appended_at := scored.behavior.appended_at) is not None:
                self._freshness.observe(now_ms - appended_at)
        self._freshness.report(now_ms)


def _add(counter: FlinkCounter, count: int) -> None:
    """Count, but call Java only if there is something to count."""
    if count:
        counter.inc(count)
