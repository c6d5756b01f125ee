"""The sorting of a log partition's records into behaviours by user bucket, and dead letters: poll-log's work."""

import time
from collections.abc import Iterator
from typing import Any

from pyflink.common import Row

from udfs.attempt import DeploymentId, attempt_epoch
from udfs.buckets import bucket_key
from udfs.elements import LoggedBehavior, PolledElement, encode
from udfs.flink.keyed_state import bytes_value_state
from udfs.flink.metrics import Level, Metric, counter, counters, counters_by
from udfs.flink.restored import restored_checkpoint
from udfs.flink.tags import ATTEMPTS, DEAD_LETTERS
from udfs.log.log_rows import attempt_row, dead_letter_row
from udfs.log.parsing import DeadLetter, LogRecord, ParsingRules, Reason, newest_after, offsets_gone, parse
from udfs.log.position import LogPosition
from udfs.log.position_codec import decode_position, encode_position
from udfs.rows import to_lines


class LogPositions:
    """The position of each partition of this subtask: managed state, by key, and a metric of it."""

    def __init__(self, context: Any, deployment: DeploymentId) -> None:
        self._context = context
        self._deployment = deployment
        self._restored = restored_checkpoint(context)
        self._stored = bytes_value_state(context, "log_position")
        self._positions: dict[int, LogPosition] = {}

    def begin(self, key: int, partition: int = 0) -> Iterator[Any]:
        """Yield the attempt's row, to the side, at the key's first call after a start or restore; then nothing."""
        if key in self._positions:
            return
        stored = self._stored.value()
        position = LogPosition(partition) if stored is None else decode_position(stored)
        before = None if stored is None else position.epoch
        position.epoch = attempt_epoch(self._deployment.number, self._restored, before)
        self._stored.update(encode_position(position))
        position.offset_metric = counter(self._context, Metric.NEXT_OFFSET, partition=position.partition)
        position.offset_metric.inc(position.next_offset)
        position.lag_metric = Level(self._context, Metric.LOG_LAG_MS, partition=position.partition)
        self._positions[key] = position
        generation = self._deployment.generation
        row = attempt_row(position, parent_epoch=before, generation=generation, now_ms=_now_ms())
        yield ATTEMPTS, to_lines([row])

    def of(self, key: int) -> LogPosition:
        """Return the position of this key's partition, which was begun."""
        return self._positions[key]

    def move(self, position: LogPosition, next_offset: int, cursor: bytes) -> None:
        """Store the new position of the current key's partition, and report it to the metric."""
        if position.offset_metric is not None:
            position.offset_metric.inc(next_offset - position.next_offset)
        position.next_offset, position.cursor = next_offset, cursor
        self._stored.update(encode_position(position))


class SortRecords:
    """A sorter that parses records, and groups behaviours by bucket."""

    def __init__(self, context: Any, rules: ParsingRules, max_parallelism: int) -> None:
        self._rules = rules
        self._max_parallelism = max_parallelism
        self._dead_letters = counters_by(context, Metric.DEAD_LETTERS, Reason)
        (self._gone,) = counters(context, Metric.OFFSETS_GONE)

    def count_gone(self, offsets: int) -> None:
        """Count offsets that were not there to be read."""
        self._gone.inc(offsets)

    def sort(self, records: list[LogRecord], position: LogPosition) -> Iterator[Any]:
        """Yield the dead letters to the side, and the behaviours, one element per bucket."""
        now_ms = _now_ms()
        buckets: dict[int, list[LoggedBehavior]] = {}
        letters = []
        for record in records:
            parsed = parse(record, self._rules, newest_ms=position.newest_ms, now_ms=now_ms)
            if isinstance(parsed, DeadLetter):
                letters.append(dead_letter_row(parsed, now_ms=now_ms, epoch=position.epoch))
                self._dead_letters[parsed.reason].inc()
                self.count_gone(offsets_gone(parsed))
                continue
            position.newest_ms = newest_after(position.newest_ms, parsed)
            position.appended_at = parsed.appended_at
            key = bucket_key(parsed.user_id, self._max_parallelism)
            buckets.setdefault(key, []).append(parsed)
        if letters:
            yield DEAD_LETTERS, to_lines(letters)
        for key, behaviors in buckets.items():
            yield Row(key, encode(PolledElement(epoch=position.epoch, behaviors=behaviors)))


def _now_ms() -> int:
    return int(time.time() * 1000)
