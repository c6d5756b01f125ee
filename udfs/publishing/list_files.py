"""append-lists: every new list appended to an embedded lists log, a folder of JSON-lines files as the behaviour log is.

Each subtask has a partition of its own, so every file has one writer. Readers keep of each user the list that counts by
the order of `udfs.publishing.publication`, whatever partition it is in. An element's lists are in the operating
system's hands before the element is done: what a checkpoint holds was written.

A partition that has grown much is written anew with the lists that count; a reader finds that the file is another one,
and reads it from its beginning.
"""

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
from udfs.flink.subtask import subtask_number
from udfs.log.file_log import partition_file
from udfs.publishing.publication import PublishedList

_LOCK_S: Final = 30.0
"""Longest wait for the writer of the attempt before, which is gone within seconds."""
_REWRITE_BYTES: Final = 256 << 20
"""A partition of this size is written anew, and again each time it has doubled."""
_decode = msgspec.json.Decoder(PublishedList).decode


class ListFile:
    """The writer of one partition, which holds its lock."""

    def __init__(self, folder: Path, partition: int, rewrite_bytes: int = _REWRITE_BYTES) -> None:
        """Open the partition, and cut off half a line that a killed writer left.

        Raises:
            LogError: another writer does not end.
        """
        self._path = partition_file(folder, partition)
        self._smallest = rewrite_bytes
        self._lock = (folder / f".{self._path.name}.lock").open("wb")
        if not wait_until(lambda: try_lock(self._lock), timeout_s=_LOCK_S, poll_s=0.1):
            self._lock.close()
            msg = f"{self._path} has another writer: give each job its own publish.lists_folder"
            raise LogError(msg)
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

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def open(self, context: RuntimeContext) -> None:
        """Open the subtask's partition."""
        self._file = ListFile(self._folder, subtask_number(context))
        settle()

    def close(self) -> None:
        """Close it."""
        self._file.close()

    def flat_map(self, rows: str) -> Iterator[Any]:
        """Append an element's rows."""
        self._file.append(rows)
        return iter(())


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
