"""The metrics of the job's operators: each is defined once, here, and reported to Flink under its name.

`recloop status`, the dashboard, the alert rules and docs/metrics.md are made from these definitions.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from enum import Enum, StrEnum
from itertools import accumulate
from typing import Any, Protocol, Self

_PREFIX = "flink_taskmanager_job_task_operator"
_REPORT_EVERY_MS = 500
"""Time from one report of a histogram to the next: each is a call of Java for every bound above the smallest value."""


class MetricKind(Enum):
    """The meaning of a metric's values."""

    COUNT = "counter"
    """It rises, from 0 at the operator's latest start."""
    LEVEL = "level"
    """It is what it is now."""
    HISTOGRAM = "histogram"
    """It counts values, each once for every bound `le` that it does not exceed."""


class Metric(StrEnum):
    """The metrics, by the name that they are reported under.

    None is score-candidates': a counter of a process-mode operator is lost where another thread than the worker's
    own counts, as an AsyncFunction's event loop and executor do. What it measures travels to update-lists.

    Attributes:
        kind: the meaning of its values.
        unit: what one of it is.
        operators: the operators that report it.
        text: its meaning, a sentence.
        labels: the names of its labels; with labels it is a metric for each of their values.
    """

    kind: MetricKind
    unit: str
    operators: tuple[str, ...]
    text: str
    labels: tuple[str, ...]

    def __new__(
        cls,
        name: str,
        kind: MetricKind,
        unit: str,
        operators: tuple[str, ...],
        text: str,
        labels: tuple[str, ...] = (),
    ) -> Self:
        """Make the member of a definition, whose value is its name."""
        member = str.__new__(cls, name)
        member._value_ = name
        member.kind, member.unit, member.operators, member.text, member.labels = kind, unit, operators, text, labels
        return member

    POLLS = "polls", MetricKind.COUNT, "reads", ("poll-log",), "Reads of one partition, empty ones included."
    DEAD_LETTERS = (
        "dead_letters",
        MetricKind.COUNT,
        "records",
        ("poll-log",),
        "Records that were no behaviour.",
        ("reason",),
    )
    OFFSETS_GONE = (
        "offsets_gone",
        MetricKind.COUNT,
        "offsets",
        ("poll-log",),
        "Offsets that retention or compaction removed before they were read, and that were stepped over. With Flink's "
        "own connector also those of transactions' marks, which it does not distinguish.",
    )
    LOG_SILENT_MS = (
        "log_silent_ms",
        MetricKind.LEVEL,
        "ms",
        ("find-partitions", "poll-log"),
        "Time for which the log's brokers have not answered.",
    )
    LOG_LAG_MS = (
        "log_lag_ms",
        MetricKind.LEVEL,
        "ms",
        ("poll-log",),
        "Age of the newest record that was read of a partition, while the log has more; 0 where all was read. "
        "Flink's own connector has metrics of its own for it.",
        ("partition",),
    )
    NEXT_OFFSET = (
        "next_offset",
        MetricKind.LEVEL,
        "offset",
        ("poll-log",),
        "The offset that is read next.",
        ("partition",),
    )
    BEHAVIORS_APPLIED = (
        "behaviors_applied",
        MetricKind.COUNT,
        "behaviours",
        ("track-users",),
        "Behaviours that changed a profile.",
    )
    DUPLICATES = "duplicates", MetricKind.COUNT, "behaviours", ("track-users",), "Repeated event ids."
    LISTS = "lists", MetricKind.COUNT, "lists", ("update-lists",), "Lists made."
    HISTORIES_SCORED = (
        "histories_scored",
        MetricKind.COUNT,
        "lists",
        ("update-lists",),
        "Lists made from a model's scores.",
    )
    HISTORIES_STEPPED = (
        "histories_stepped",
        MetricKind.COUNT,
        "lists",
        ("update-lists",),
        "Of those scored, by one step from a kept state; over histories_scored it is the hit ratio.",
    )
    SCORE_CACHE_HITS = (
        "score_cache_hits",
        MetricKind.COUNT,
        "lists",
        ("update-lists",),
        "Of those scored, by a stored answer of the model to the same question.",
    )
    BATCH_SIZES = (
        "batch_sizes",
        MetricKind.COUNT,
        "histories",
        ("update-lists",),
        "The size of the batch that scored each history, added up; over histories_scored it is the mean.",
    )
    FALLBACKS = "fallbacks", MetricKind.COUNT, "lists", ("update-lists",), "Lists made without scores.", ("reason",)
    LISTS_BY_MODEL = (
        "lists_by_model",
        MetricKind.COUNT,
        "lists",
        ("update-lists",),
        "Lists by the variant and version of the model that serves the user, and whether it scored them.",
        ("variant", "version", "source"),
    )
    ITEMS_CHANGED = (
        "items_changed",
        MetricKind.COUNT,
        "items",
        ("update-lists",),
        "Items of a list that its user's list before lacked; over lists it is the churn. First lists do not count.",
    )
    FRESHNESS_MS = (
        "freshness_ms",
        MetricKind.HISTOGRAM,
        "ms",
        ("update-lists",),
        "Time from a behaviour's append to the log until its list was made, where the log knows the first.",
        ("le",),
    )
    BUNDLE_GAPS = (
        "bundle_gaps",
        MetricKind.COUNT,
        "gaps",
        ("update-lists",),
        "Times that a scorer had nothing under way for less than a second, as between two of Flink's bundles.",
    )
    BUNDLE_GAP_MS = (
        "bundle_gap_ms",
        MetricKind.COUNT,
        "ms",
        ("update-lists",),
        "The length of those gaps, added up; over bundle_gaps it is the mean.",
    )
    LISTS_SWEPT = (
        "lists_swept",
        MetricKind.COUNT,
        "lists",
        ("update-lists",),
        "Lists made anew without an item that was withdrawn, beside those counted as lists.",
    )
    SWAPS = (
        "swaps",
        MetricKind.COUNT,
        "swaps",
        ("update-lists",),
        "Models that replaced another at a scorer, between two batches; reported with its next element.",
    )
    SWAP_FAILURES = (
        "swap_failures",
        MetricKind.COUNT,
        "swaps",
        ("update-lists",),
        "Models that did not load at a scorer, which goes on with the one before; reported likewise.",
    )
    COLLECTIONS = (
        "full_collections",
        MetricKind.COUNT,
        "collections",
        ("update-lists",),
        "Full garbage collections of an interpreter, operators or scorer, which hold up all lists.",
        ("interpreter",),
    )
    COLLECTION_MS = (
        "full_collection_ms",
        MetricKind.COUNT,
        "ms",
        ("update-lists",),
        "The time that those collections took.",
        ("interpreter",),
    )

    @property
    def series(self) -> str:
        """Its name in Prometheus: Flink puts the names of labels before that of the metric."""
        return "_".join((_PREFIX, *self.labels, self.value))


class Counter(Protocol):
    """The part of PyFlink's counter that is used here."""

    def inc(self, n: int = 1) -> None:
        """Count n more."""


class Level:
    """A counter that goes up and down: PyFlink's gauges are read from other threads than the operator's."""

    def __init__(self, context: Any, metric: Metric, **labels: object) -> None:
        self._counter = counter(context, metric, **labels)
        self._value = 0

    def set(self, value: int) -> None:
        """Show this value from now on."""
        if value != self._value:
            self._counter.inc(value - self._value)
            self._value = value


class Histogram:
    """Values counted by bounds, as Prometheus counts them: its `histogram_quantile` reads percentiles from the counts.

    A bound is a label, `le`, of a counter of its own: PyFlink's distributions report their last value alone.
    """

    def __init__(self, context: Any, metric: Metric, bounds: Sequence[int]) -> None:
        self._bounds = tuple(bounds)
        self._counters = [counter(context, metric, le=bound) for bound in (*bounds, "+Inf")]
        self._pending = [0] * len(self._counters)
        self._reported_ms = 0

    def observe(self, value: float) -> None:
        """Count a value, in the next report."""
        self._pending[bisect_left(self._bounds, value)] += 1

    def report(self, now_ms: int) -> None:
        """Report what was counted, if the last report is half a second old."""
        if 0 <= now_ms - self._reported_ms < _REPORT_EVERY_MS:
            return
        self._reported_ms = now_ms
        for each, count in zip(self._counters, accumulate(self._pending), strict=True):
            if count:
                each.inc(count)
        self._pending = [0] * len(self._counters)


def counter(context: Any, metric: Metric, **labels: object) -> Counter:
    """Return the counter of a metric, given the RuntimeContext and a value for each of its labels."""
    group = context.get_metrics_group()
    for label in metric.labels:
        group = group.add_group(label, str(labels[label]))
    found: Counter = group.counter(metric.value)
    return found


def counters_by(context: Any, metric: Metric, values: Iterable[str]) -> dict[str, Counter]:
    """Return the counters of a metric with one label, one a value."""
    (label,) = metric.labels
    return {value: counter(context, metric, **{label: value}) for value in values}


def counters(context: Any, *metrics: Metric) -> list[Counter]:
    """Return the counters of metrics without labels."""
    return [counter(context, metric) for metric in metrics]
