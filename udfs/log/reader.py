"""What poll-log asks of a behaviour log: numbered records in partitions, read without ever waiting.

Two logs keep it: the embedded one of files (`udfs/log/file_log.py`) and a Kafka topic (`udfs/log/kafka_log.py`).
"""

from dataclasses import dataclass
from typing import Protocol

from udfs.errors import LogError
from udfs.log.parsing import LogRecord


class MissingLogError(LogError):
    """No log is where the settings say."""


class LogTruncatedError(LogError):
    """A partition lost records that were read."""


class LogReplacedError(LogError):
    """A partition is another one than was read."""


class OffsetsGoneError(LogError):
    """Retention removed records before they were read."""


class LogRefusedError(LogError):
    """The log is there, and can't be read."""


@dataclass(frozen=True, slots=True)
class Poll:
    """What one read of one partition found.

    Attributes:
        records: in offset order.
        next_offset: where the next read goes on.
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
        """How many partitions there are now; 0 while that is not known."""

    def poll(self, partition: int, next_offset: int, cursor: bytes, limit: int) -> Poll:
        """Up to `limit` records from `next_offset` on, at once; `cursor` is b"" where nothing was read yet."""

    def silent_ms(self) -> int:
        """For how long the log has not answered; 0 while it does."""

    def close(self) -> None:
        """Lets go of files and connections."""


class Log(Protocol):
    """Where a log is: small, and pickled into the job."""

    def open(self) -> LogReader:
        """A reader of it, one a subtask."""
