"""The behaviour log of a run: a feeder appends to it, and the judges read it by the numbers of its records.

A record's number is its place in the partition of the drill's finished log. In files that is the offset too; in a topic
offsets also count what transactions leave behind.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from job.replay.log_writer import PartitionWriter, create_log
from udfs.log.file_log import partition_file

NO_RECORD = -1
"""The number of what is in a log, and is no record of the drill's."""


def offset_of(_partition: int, offset: int) -> int:
    """Return the number of a record in a log whose offsets are just that."""
    return offset


class RunLog(ABC):
    """A log that grows."""

    @abstractmethod
    def append(self, partition: int, lines: Sequence[bytes]) -> None:
        """Hand records over, in order; they need not be there yet."""

    @abstractmethod
    def lengths(self) -> list[int]:
        """Return how many records of each partition are there for readers."""

    @abstractmethod
    def holds(self, lines: Sequence[Sequence[bytes]]) -> bool:
        """Return whether the records that are there are the first of these, partition by partition."""

    @abstractmethod
    def close(self) -> None:
        """Give up what is not there yet."""

    def number_of(self, partition: int, offset: int) -> int:
        """Return the number of the record at an offset of the log, or NO_RECORD."""
        return offset_of(partition, offset)


class FilesLog(RunLog):
    """An embedded log of a run."""

    def __init__(self, folder: Path, partitions: int) -> None:
        """Make it."""
        self._folder = folder
        create_log(folder, partitions)
        self._writers = [PartitionWriter(folder, partition) for partition in range(partitions)]
        self._lengths = [0] * partitions

    def append(self, partition: int, lines: Sequence[bytes]) -> None:
        """Append lines."""
        self._writers[partition].append(lines)
        self._lengths[partition] += len(lines)

    def lengths(self) -> list[int]:
        """Return the number of lines of each partition."""
        return list(self._lengths)

    def holds(self, lines: Sequence[Sequence[bytes]]) -> bool:
        """Return whether each file has the first of these lines, and nothing else."""
        return all(
            b"".join(line + b"\n" for line in its_lines).startswith(partition_file(self._folder, number).read_bytes())
            for number, its_lines in enumerate(lines)
        )

    def close(self) -> None:
        """Free the files."""
        for writer in self._writers:
            writer.close()
