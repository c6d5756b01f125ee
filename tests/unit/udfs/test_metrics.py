"""The metrics as Flink gets them: groups of labels, histograms whose bounds add up, levels, and a scorer's gaps."""

from collections import defaultdict
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.udfs.examples import behavior
from udfs.elements import Candidates, FallbackReason, ModelRef, ScoredBehavior, ScoredElement, Swap
from udfs.flink.metrics import Histogram, Level, Metric, MetricKind, counter, counters, counters_by
from udfs.lists.list_metrics import ListMetrics
from udfs.model_serving.idle_time import IdleTime


class Registry:
    """Flink's metrics: name with its groups -> value."""

    def __init__(self) -> None:
        self.values: dict[str, int] = defaultdict(int)
        self.context = SimpleNamespace(get_metrics_group=lambda: _Group(self.values, ()))

    def total(self, metric: Metric) -> int:
        return sum(value for name, value in self.values.items() if name.split("/")[-1] == metric)


class _Group:
    def __init__(self, values: dict[str, int], names: tuple[str, ...]) -> None:
        self._values = values
        self._names = names

    def add_group(self, name: str, value: str) -> "_Group":
        return _Group(self._values, (*self._names, f"{name}={value}"))

    def counter(self, name: str) -> Any:
        key = "/".join((*self._names, name))
        self._values[key] += 0

        def inc(n: int = 1) -> None:
            self._values[key] += n

        return SimpleNamespace(inc=inc)


@pytest.fixture
def flink() -> Registry:
    return Registry()


def test_every_metric_is_defined_whole() -> None:
    assert len({metric.series for metric in Metric}) == len(Metric)
    for metric in Metric:
        assert metric.operators
        assert metric.unit
        assert metric.series.startswith("flink_taskmanager_job_task_operator_")
        assert (metric.kind is MetricKind.HISTOGRAM) is (metric.labels == ("le",))


def test_labels_become_groups_in_their_order(flink: Registry) -> None:
    counter(flink.context, Metric.LISTS_BY_MODEL, source="scored", version="2", variant="a").inc(3)
    assert flink.values == {"variant=a/version=2/source=scored/lists_by_model": 3}
    assert Metric.LISTS_BY_MODEL.series.endswith("_operator_variant_version_source_lists_by_model")


def test_a_metric_without_its_label_is_refused(flink: Registry) -> None:
    with pytest.raises(KeyError):
        counters(flink.context, Metric.FALLBACKS)


def test_a_label_of_each_value_is_there_before_anything_is_counted(flink: Registry) -> None:
    counters_by(flink.context, Metric.FALLBACKS, FallbackReason)
    assert flink.values == {f"reason={reason}/fallbacks": 0 for reason in FallbackReason}


@given(st.lists(st.integers(-5, 5_000), max_size=50), st.lists(st.integers(0, 2_000), max_size=50))
def test_a_histogram_counts_each_value_for_every_bound_that_it_does_not_exceed(
    values: list[int], times: list[int]
) -> None:
    flink, bounds, now_ms = Registry(), (10, 100, 1_000), 0
    histogram = Histogram(flink.context, Metric.FRESHNESS_MS, bounds)
    for value, wait_ms in zip(values, [*times, *[0] * len(values)], strict=False):
        histogram.observe(value)
        now_ms += wait_ms
        histogram.report(now_ms)
    histogram.report(now_ms + 10_000)
    found = {name.split("/")[0]: count for name, count in flink.values.items()}
    assert found == {
        **{f"le={bound}": sum(value <= bound for value in values) for bound in bounds},
        "le=+Inf": len(values),
    }


def test_a_histogram_reports_again_after_the_clock_stepped_back(flink: Registry) -> None:
    histogram = Histogram(flink.context, Metric.FRESHNESS_MS, (10,))
    histogram.report(10**9)
    histogram.observe(1)
    histogram.report(5)
    assert flink.total(Metric.FRESHNESS_MS) == 2


def test_a_level_goes_up_and_down(flink: Registry) -> None:
    level = Level(flink.context, Metric.LOG_LAG_MS, partition=3)
    for value in (5, 9, 9, 0):
        level.set(value)
        assert flink.values["partition=3/log_lag_ms"] == value


@given(st.lists(st.tuples(st.integers(0, 3_000).filter(lambda ms: ms != 1_000), st.integers(0, 900)), max_size=30))
def test_gaps_of_a_scorer_are_those_in_which_nothing_was_under_way_and_none_is_long(
    elements: list[tuple[int, int]],
) -> None:
    idle, now_ms, gaps, gap_ms = IdleTime(), 10_000, 0, 0
    for wait_ms, work_ms in elements:
        now_ms += wait_ms
        idle.begin(now_ms / 1000)
        now_ms += work_ms
        idle.end(now_ms / 1000)
        more, more_ms = idle.take()
        gaps, gap_ms = gaps + more, gap_ms + more_ms
    wanted = [wait_ms for wait_ms, _ in elements[1:] if wait_ms < 1_000]
    assert gaps == len(wanted)
    assert sum(wanted) - 1 <= gap_ms <= sum(wanted)


def test_no_gap_is_counted_while_another_element_is_under_way() -> None:
    idle = IdleTime()
    idle.begin(0.0)
    idle.begin(0.1)
    idle.end(0.2)
    idle.begin(0.5)
    idle.end(0.6)
    idle.end(0.7)
    assert idle.take() == (0, 0)
    idle.begin(0.75)
    assert idle.take() == (1, 50)


def scored(model: int | None, *, appended_at: int | None, reason: FallbackReason | None = None) -> ScoredBehavior:
    candidates = None if model is None or reason is not None else Candidates(items=[], packed_scores=b"", because=[])
    return ScoredBehavior(
        behavior=msgspec.structs.replace(behavior(), appended_at=appended_at),
        user_seq=1,
        history=b"",
        excluded=b"",
        shown=[],
        candidates=candidates,
        fallback_reason=reason,
        model=model,
        batch_size=None if candidates is None else 4,
    )


def test_an_element_is_counted_by_model_by_reason_and_by_freshness(flink: Registry) -> None:
    models = [ModelRef(version="1", hash="h", variant="a"), ModelRef(version="2", hash="h", variant="b")]
    late = FallbackReason.DEADLINE
    behaviors = [
        scored(0, appended_at=9_990),
        scored(1, appended_at=9_000),
        scored(1, appended_at=None, reason=late),
        scored(None, appended_at=10_500),
    ]
    swap = Swap(scorer=0, model=models[0], outcome="swapped", problem=None, at=0)
    element = ScoredElement(epoch=1, duplicates=0, models=models, behaviors=behaviors, swaps=[swap], gaps=2, gap_ms=70)
    metrics = ListMetrics(flink.context)
    metrics.count_changes([], ["x"])
    metrics.count_changes(["x", "y"], ["y", "z", "w"])
    metrics.count(element, 10_000)
    apart = ("le=", "interpreter=")  # bounds, and what this process collected
    counted = {name: value for name, value in flink.values.items() if value and not name.startswith(apart)}
    assert counted == {
        "lists": 4,
        "histories_scored": 2,
        "batch_sizes": 8,
        "items_changed": 2,
        "reason=deadline/fallbacks": 1,
        "variant=a/version=1/source=scored/lists_by_model": 1,
        "variant=b/version=2/source=scored/lists_by_model": 1,
        "variant=b/version=2/source=unscored/lists_by_model": 1,
        "variant=none/version=none/source=unscored/lists_by_model": 1,
        "bundle_gaps": 2,
        "bundle_gap_ms": 70,
        "swaps": 1,
    }
    bounds = {name: value for name, value in flink.values.items() if name.startswith("le=")}
    assert (bounds["le=5/freshness_ms"], bounds["le=10/freshness_ms"], bounds["le=1000/freshness_ms"]) == (1, 2, 3)
