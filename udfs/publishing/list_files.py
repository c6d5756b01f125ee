"""append-lists: every new list appended to an embedded lists log, a folder of JSON-lines files as the behaviour log is.

Each subtask has a partition of its own, so every file has one writer. Where the writer of an attempt before does not
end, as that of a TaskManager that is frozen, its successor takes another partition. Readers keep of each user the list
that counts by the order of `udfs.publishing.publication`, whatever partition it is in. An element's lists are in the
operating system's hands before the element is done: what a checkpoint holds was written.

A partition that has grown much is written anew with the lists that count; a reader finds that the file is another one,
and reads it from its beginning.
"""

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec
from pyflink.datastream import FlatMapFunction, RuntimeContext

from model.file_lock import try_lock
from model.files import replace_file
from model.waiting import wait_until
from udfs.errors import LogError
from udfs.flink.collector import settle
from udfs.flink.subtask import subtask_number, subtasks
from udfs.log.file_log import partition_file, partitions_of
from udfs.publishing.publication import PublishedList

_LOCK_S: Final = 3.0
"""Longest wait for the writer of the attempt before: it is gone by then, or frozen."""
_REWRITE_BYTES: Final = 256 << 20
"""A partition of this size is written anew, and again each time it has doubled."""
_log = logging.getLogger(__name__)
_decode = msgspec.json.Decoder(PublishedList).decode


class TakenError(LogError):
    """A partition has a writer."""


class ListFile:
    """The writer of one partition, which holds its lock."""

    def __init__(
        self, folder: Path, partition: int, rewrite_bytes: int = _REWRITE_BYTES, *, job: str = "", wait_s: float = 0.0
    ) -> None:
        """Open the partition, and cut off half a line that a killed writer left.

        Args:
            folder: the lists log.
            partition: the number of the partition.
            rewrite_bytes: the size from which the partition is written anew.
            job: the name of the job, which is written beside the partition.
            wait_s: the longest wait for another writer to end.

        Raises:
            LogError: another job writes it.
            TakenError: another writer of the same job does not end.
        """
        self._path = partition_file(folder, partition)
        self._smallest = rewrite_bytes
        self._lock = (folder / f".{self._path.name}.lock").open("a+b")
        if not wait_until(lambda: try_lock(self._lock), timeout_s=wait_s, poll_s=0.1):
            owner = _owner_of(self._lock)
            self._lock.close()
            if owner not in {job, ""}:
                msg = f"{self._path} is written by the job {owner}: give each job its own publish.lists_folder"
                raise LogError(msg)
            msg = f"{self._path} has a writer of an attempt before, which does not end"
            raise TakenError(msg)
        self._lock.truncate(0)
        self._lock.write(job.encode())
        self._lock.flush()
        self._file: BinaryIO = self._path.open("ab")
        self._cut_half_line()
        self._rewrite_at = 0
        self._rewrite_if_large()

    def append(self, lines: str) -> None:
        """Append one or more lines, given without the last one's newline."""
        self._file.write(lines.encode() + b"\n")
        self._file.flush()
        if self._file.tell() >= self._rewrite_at:
            self._rewrite_if_large()

    def close(self) -> None:
        """Close the file, and free the lock."""
        self._file.close()
        self._lock.close()

    def _cut_half_line(self) -> None:
        with self._path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            keep = size
            while keep and _byte(file, keep - 1) != b"\n":
                keep -= 1
        if keep < size:
            os.truncate(self._path, keep)
            self._file.seek(0, os.SEEK_END)

    def _rewrite_if_large(self) -> None:
        """Write the partition anew with the lists that count, if it is large."""
        if self._path.stat().st_size >= max(self._rewrite_at, self._smallest):
            replace_file(self._path, b"".join(_counting_lines(self._path)))
            self._file.close()
            self._file = self._path.open("ab")
        self._rewrite_at = max(self._smallest, 2 * self._path.stat().st_size)


class WriteLists(FlatMapFunction):
    """The operator append-lists.

    In: rows of recommendation_lists, one or more lines of JSON. Out: nothing.
    """

    def __init__(self, folder: Path, job: str) -> None:
        self._folder = folder
        self._job = job

    def open(self, context: RuntimeContext) -> None:
        """Open the subtask's partition."""
        self._file = open_list_file(self._folder, subtask_number(context), subtasks(context), self._job)
        settle()

    def close(self) -> None:
        """Close it."""
        self._file.close()

    def flat_map(self, rows: str) -> Iterator[Any]:
        """Append an element's rows."""
        self._file.append(rows)
        return iter(())


def open_list_file(folder: Path, subtask: int, subtasks: int, job: str) -> ListFile:
    """Open the subtask's partition; where an earlier attempt's writer does not end, one that no other subtask has.

    Raises:
        LogError: another job writes there, or no partition is left.
    """
    wait_s = _LOCK_S
    for partition in range(subtask, partitions_of(folder), subtasks):
        try:
            return ListFile(folder, partition, job=job, wait_s=wait_s)
        except TakenError as error:
            _log.warning("%s: going on in another partition", error)
            wait_s = 0.0
    msg = f"all partitions of {folder} that subtask {subtask} may write have writers, which do not end: end them"
    raise LogError(msg)


def _owner_of(lock: BinaryIO) -> str:
    """Return the name of the job that holds a lock; empty if a writer before this release does."""
    lock.seek(0)
    return lock.read().decode(errors="replace")


def _counting_lines(path: Path) -> Iterator[bytes]:
    """Yield the lines of those lists that count, in their order; of equal ones the later."""
    newest: dict[str, tuple[tuple[int, int], int]] = {}
    with path.open("rb") as lines:
        for number, line in enumerate(lines):
            found = _decode(line)
            if (known := newest.get(found.user_id)) is None or found.order >= known[0]:
                newest[found.user_id] = found.order, number
        counting = {number for _, number in newest.values()}
        lines.seek(0)
        yield from (line for number, line in enumerate(lines) if number in counting)


def _byte(file: BinaryIO, position: int) -> bytes:
    file.seek(position)
    return file.read(1)
