"""measure-feedback: adds the buckets' minutes up to one row of feedback_metrics a minute."""

import time
from collections.abc import Iterable, Iterator
from typing import Any

from pyflink.datastream import KeyedProcessFunction, RuntimeContext

from udfs.feedback import MINUTE_MS, Minute, decode_minute, encode_minute, minute_of
from udfs.keyed_state import bytes_map_state
from udfs.rows import to_line

_GRACE_MS = 2_000
"""How long after a minute's end its row is written; what comes later is in the row's next revision."""
_KEPT_MINUTES = 60


class MeasureFeedback(KeyedProcessFunction):
    """One key. In: a bucket's part of a minute. Out: rows of feedback_metrics, as lines of JSON."""

    def open(self, context: RuntimeContext) -> None:
        """Opens the state."""
        self._minutes = bytes_map_state(context, "feedback_minutes")

    def process_element(self, value: bytes, context: Any) -> Iterable[Any]:
        """Adds the part to its minute, and has the minute's row written soon."""
        part = decode_minute(value)
        state = self._minutes.get(str(part.minute))
        minute = Minute(part.minute) if state is None else decode_minute(state)
        minute.add(part)
        self._minutes.put(str(minute.minute), encode_minute(minute))
        now = context.timer_service().current_processing_time()
        due = max(minute.minute + MINUTE_MS, now - now % 1000) + _GRACE_MS
        context.timer_service().register_processing_time_timer(due)
        return ()

    def on_timer(self, timestamp: int, _context: Any) -> Iterator[Any]:
        """Writes the minutes that are over and changed; forgets the old ones."""
        now_ms = int(time.time() * 1000)
        for key, state in list(self._minutes.items()):
            minute = decode_minute(state)
            if minute.minute < minute_of(timestamp) - _KEPT_MINUTES * MINUTE_MS:
                self._minutes.remove(key)
            elif minute.minute + MINUTE_MS <= timestamp and minute.changed:
                minute.revision += 1
                minute.changed = False
                self._minutes.put(key, encode_minute(minute))
                yield to_line(minute.row(now_ms))
