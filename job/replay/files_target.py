"""The embedded log of files as the target of a replay."""

import os
from collections.abc import Sequence
from pathlib import Path

from job.replay.log_writer import DEFAULT_PARTITIONS, LogWriter, count_lines
from model.closing import Closing
from model.records import UserBehavior
from udfs.log.file_log import partition_file

_LONGEST_LINE = 1 << 16  # bytes


class FilesTarget(Closing):
    """An embedded log, with the locks of all its partitions while it is open.

    Attributes:
        name: the log's folder, for messages.
        notes: the log's folder.
    """

    def __init__(self, log: Path, partitions: int | None = None, *, new: int = DEFAULT_PARTITIONS) -> None:
        """Open the log, and make it if there is none.

        Args:
            log: the log's folder.
            partitions: the required number of partitions; None takes the existing number, or `new`.
            new: the number of partitions of a log that is not there yet.

        Raises:
            LogLockedError: another process writes the log.
            PartitionCountError: the log has another number of partitions.
            LogDamagedError: its log.json holds something else.
        """
        self.name = str(log)
        self.notes = log
        self._writer = LogWriter(log, partitions, new=new)
        self._files = [partition_file(log, partition) for partition in range(self._writer.partitions)]

    def lengths(self) -> list[int]:
        """Return the number of records of each partition, see `ReplayTarget.lengths`."""
        return [count_lines(file) for file in self._files]

    def last_records(self) -> list[bytes]:
        """Return the last record of each partition, see `ReplayTarget.last_records`."""
        records = []
        for file in self._files:
            with file.open("rb") as lines:
                size = lines.seek(0, os.SEEK_END)
                lines.seek(max(0, size - _LONGEST_LINE))
                last = lines.read().split(b"\n")[-2:][0]  # b"" if there is none: all lines are whole
            records.append(last.rpartition(b',"appended_at":')[0] + b"}")
        return records

    def append(self, behaviors: Sequence[UserBehavior]) -> None:
        """Append, and flush the lines to the operating system."""
        self._writer.append(behaviors)

    def close(self) -> None:
        """Release the locks."""
        self._writer.close()
