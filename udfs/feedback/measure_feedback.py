"""measure-feedback: the operator that adds up the buckets' minutes, to one row of feedback_metrics a minute."""

import time
from collections.abc import Iterable, Iterator
from typing import Any

from pyflink.common import Types
from pyflink.datastream import KeyedProcessFunction, RuntimeContext
from pyflink.datastream.state import ValueStateDescriptor

from udfs.attempt import DeploymentId, attempt_epoch
from udfs.feedback.minute import MINUTE_MS, Minute, decode_minute, due, encode_minute, forgettable
from udfs.flink.collector import settle
from udfs.flink.keyed_state import bytes_map_state
from udfs.flink.restored import restored_checkpoint
from udfs.rows import to_lines

_GRACE_MS = 2_000
"""Time from a minute's end until its row is written; parts that come later are in the row's next revision."""


class MeasureFeedback(KeyedProcessFunction):
    """The operator measure-feedback, with one key.

    In: a bucket's part of a minute. Out: rows of feedback_metrics, as lines of JSON.
    """

    def __init__(self, deployment: DeploymentId) -> None:
        self._deployment = deployment

    def open(self, context: RuntimeContext) -> None:
        """Open the state."""
        self._minutes = bytes_map_state(context, "feedback_minutes")
        self._rows = context.get_state(ValueStateDescriptor("feedback_rows", Types.LONG()))
        self._epoch = attempt_epoch(self._deployment.number, restored_checkpoint(context), None)
        settle()

    def process_element(self, value: bytes, context: Any) -> Iterable[Any]:
        """Add the part to its minute, and have the minute's row written soon."""
        part = decode_minute(value)
        state = self._minutes.get(str(part.minute))
        minute = Minute(part.minute) if state is None else decode_minute(state)
        minute.add(part)
        self._minutes.put(str(minute.minute), encode_minute(minute))
        now = context.timer_service().current_processing_time()
        at = max(minute.minute + MINUTE_MS, now - now % 1000) + _GRACE_MS
        context.timer_service().register_processing_time_timer(at)
        return ()

    def on_timer(self, timestamp: int, _context: Any) -> Iterator[Any]:
        """Write the minutes that are over and changed; forget old ones."""
        now_ms = int(time.time() * 1000)
        minutes = [decode_minute(state) for state in self._minutes.values()]
        number = self._rows.value() or 0
        for minute in due(minutes, timestamp):
            number += 1
            minute.revision += 1
            minute.changed = False
            minute.epoch = self._epoch = max(self._epoch, minute.epoch)
            self._minutes.put(str(minute.minute), encode_minute(minute))
            yield to_lines([minute.row(number, now_ms)])
        self._rows.update(number)
        for minute in forgettable(minutes):
            self._minutes.remove(str(minute.minute))
