"""find-trends: the operator that adds up what all users do, and sends every bucket what is trending."""

import time
from collections.abc import Iterable, Iterator
from typing import Any

from pyflink.common import Row, Types
from pyflink.datastream import KeyedProcessFunction, RuntimeContext
from pyflink.datastream.state import ValueStateDescriptor

from udfs.buckets import bucket_keys
from udfs.elements import TrendSnapshot, decode_trend_part, encode
from udfs.flink.collector import settle
from udfs.flink.keyed_state import bytes_map_state
from udfs.flink.tags import TREND_SNAPSHOTS
from udfs.rows import TrendSnapshotRow, to_lines
from udfs.trends.trends import TrendRules, Trends, decode_sum, encode_sum


class FindTrends(KeyedProcessFunction):
    """The operator find-trends, with one key.

    In: TrendPart of an element. Out: Row(bucket's key, TrendSnapshot) to every bucket, at intervals.
    Side output: rows of trend_snapshots. Nothing is sent while nobody does anything.
    """

    def __init__(self, rules: TrendRules, max_parallelism: int) -> None:
        self._rules = rules
        self._keys = bucket_keys(max_parallelism)

    def open(self, context: RuntimeContext) -> None:
        """Open the state."""
        self._sums = bytes_map_state(context, "trend_sum")
        self._landmark = context.get_state(ValueStateDescriptor("trend_landmark", Types.LONG()))
        self._made = context.get_state(ValueStateDescriptor("trend_snapshots_made", Types.LONG()))
        self._is_due = False  # not state: after a restore the next behaviour arms a timer, whatever a checkpoint held
        self._trends: Trends | None = None
        self._epoch = 0
        settle()

    def process_element(self, value: bytes, context: Any) -> Iterable[Any]:
        """Add one element's behaviours, and have a snapshot made soon."""
        part = decode_trend_part(value)
        trends = self._loaded()
        landmark = trends.landmark_ms
        for item_id, weight, time_ms in part.weights:
            trends.add(item_id, weight, time_ms, self._rules)
        changed = {item_id for item_id, _, _ in part.weights}
        if trends.landmark_ms != landmark:
            self._landmark.update(trends.landmark_ms)
            changed = set(trends.sums)
        for item_id in changed:
            self._sums.put(item_id, encode_sum(trends.sums[item_id]))
        self._epoch = max(self._epoch, part.epoch)
        if not self._is_due:
            self._is_due = True
            timers = context.timer_service()
            timers.register_processing_time_timer(timers.current_processing_time() + self._rules.interval_ms)
        return ()

    def on_timer(self, _timestamp: int, _context: Any) -> Iterator[Any]:
        """Send a snapshot; the next one is due after the next behaviour."""
        self._is_due = False
        trends = self._loaded()
        for item_id in trends.prune(self._rules):
            self._sums.remove(item_id)
        strengths = trends.strongest(self._rules.size)
        now_ms = int(time.time() * 1000)
        number = (self._made.value() or 0) + 1
        self._made.update(number)
        row = TrendSnapshotRow(
            snapshot_id=now_ms,
            items=list(strengths),
            strengths=list(strengths.values()),
            number=number,
            written_at=now_ms,
            epoch=self._epoch,
        )
        yield TREND_SNAPSHOTS, to_lines([row])
        snapshot = encode(TrendSnapshot(snapshot_id=now_ms, strengths=strengths))
        for key in self._keys:
            yield Row(key, snapshot)

    def _loaded(self) -> Trends:
        if self._trends is None:
            sums = {item: decode_sum(state) for item, state in self._sums.items()}
            self._trends = Trends(landmark_ms=self._landmark.value(), sums=sums)
        return self._trends
