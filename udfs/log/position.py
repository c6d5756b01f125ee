"""The position up to which one partition of the log was read: poll-log's state."""

from dataclasses import dataclass, field

from udfs.flink.metrics import Counter, Level


@dataclass(slots=True)
class LogPosition:
    """A partition's state and its metrics.

    Attributes:
        partition: its number.
        next_offset: the offset that is read next.
        cursor: the reader's own bytes for the same place.
        newest_ms: the newest event time so far, epoch ms; see `udfs.log.parsing.newest_after`.
        epoch: of the attempt that reads it: see `udfs.attempt`.
        appended_at: time of the newest behaviour's appending, epoch ms; None if that is not known. Not in state.
        offset_metric: reports `next_offset`.
        lag_metric: reports how old that behaviour is while there are more.
    """

    partition: int
    next_offset: int = 0
    cursor: bytes = b""
    newest_ms: int = 0
    epoch: int = 0
    appended_at: int | None = field(default=None, compare=False)
    offset_metric: Counter | None = field(default=None, compare=False)
    lag_metric: Level | None = field(default=None, compare=False)

    def report_lag(self, now_ms: int, *, more: bool) -> None:
        """Show how far behind the log this partition is, given whether it has more than was read."""
        if self.lag_metric is not None:
            newest = self.appended_at if more else None
            self.lag_metric.set(0 if newest is None else max(0, now_ms - newest))
