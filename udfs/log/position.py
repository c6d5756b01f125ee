"""The position up to which one partition of the log was read: poll-log's state."""

from dataclasses import dataclass, field

from udfs.flink.metrics import Counter


@dataclass(slots=True)
class LogPosition:
    """A partition's state and its metric.

    Attributes:
        partition: its number.
        next_offset: the offset that is read next.
        cursor: the reader's own bytes for the same place.
        newest_ms: the newest event time so far, epoch ms; see `udfs.log.parsing.newest_after`.
        epoch: of the attempt that reads it: see `udfs.attempt`.
        offset_metric: reports `next_offset`.
    """

    partition: int
    next_offset: int = 0
    cursor: bytes = b""
    newest_ms: int = 0
    epoch: int = 0
    offset_metric: Counter | None = field(default=None, compare=False)
