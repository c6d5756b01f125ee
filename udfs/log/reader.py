"""The interface of a behaviour log to poll-log: numbered records in partitions, read without ever waiting.

Two logs implement it: the embedded one of files (`udfs/log/file_log.py`) and a Kafka topic (`udfs/log/kafka_log.py`).
"""

from dataclasses import dataclass
from typing import Protocol

from udfs.errors import LogError
from udfs.log.parsing import LogRecord


class LogDamagedError(LogError):
    """The file that holds the log's number of partitions holds something else."""


class MissingLogError(LogError):
    """A log that is not in the place that the settings name."""


class LogTruncatedError(LogError):
    """A partition that lost records after they were read."""


class LogReplacedError(LogError):
    """A partition that is not the one that was read."""


class OffsetsGoneError(LogError):
    """Records that retention removed before they were read."""


class LogRefusedError(LogError):
    """A log that is there, and can't be read."""


@dataclass(frozen=True, slots=True)
class Poll:
    """The result of one read of one partition.

    Attributes:
        records: in offset order.
        next_offset: the offset at which the next read goes on.
        cursor: the reader's own bytes for the same place; stored with the offset.
        more: whether the log holds more already.
    """

    records: list[LogRecord]
    next_offset: int
    cursor: bytes
    more: bool


class LogReader(Protocol):
    """A log of numbered records in partitions."""

    def partitions(self) -> int:
        """Return how many partitions there are now; 0 while that is not known."""

    def poll(self, partition: int, next_offset: int, cursor: bytes, limit: int) -> Poll:
        """Return up to `limit` records from `next_offset` on, at once; `cursor` is b"" where nothing was read yet."""

    def silent_ms(self) -> int:
        """Return for how long the log has not answered, in ms; 0 while it does."""

    def close(self) -> None:
        """Close files and connections."""


class Log(Protocol):
    """The place of a log: small, and pickled into the job."""

    def open(self) -> LogReader:
        """Open a reader, one per subtask."""
