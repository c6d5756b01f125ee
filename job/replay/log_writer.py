"""The writers of the embedded behaviour log: one writer for each partition file, which holds the file's lock.

A record is complete once its line has its newline. A writer that died in the middle of a line leaves half a line; the
next writer cuts it off (no reader read it, and its producer was never acknowledged).
"""

import json
import os
import time
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from model.closing import Closing
from model.datasets.json_lines import encode_behavior
from model.file_lock import try_lock
from model.files import replace_file
from model.records import UserBehavior
from udfs.errors import LogError
from udfs.hashing import stable_hash
from udfs.log.file_log import MANIFEST, partition_file, partitions_of

_CHUNK_BYTES = 1 << 16


class LogLockedError(LogError):
    """Another process writes this partition's file."""


class PartitionCountError(LogError):
    """The log exists with another number of partitions."""


DEFAULT_PARTITIONS = 4


def create_log(folder: Path, partitions: int | None = None, *, new: int = DEFAULT_PARTITIONS) -> int:
    """Make the folder and its log.json if they are missing, and return the log's number of partitions.

    Args:
        folder: the log's folder.
        partitions: the required number of partitions; None takes the existing number, or `new`.
        new: the number of partitions of a log that is not there yet.

    Raises:
        PartitionCountError: the log has another number of partitions.
        LogDamagedError: its log.json holds something else.
    """
    folder.mkdir(parents=True, exist_ok=True)
    manifest = folder / MANIFEST
    if manifest.exists():
        there = partitions_of(folder)
        if partitions not in {None, there}:
            msg = f"{folder} has {there} partitions, not {partitions}: use as many, or another folder"
            raise PartitionCountError(msg)
        return there
    partitions = partitions or new
    replace_file(manifest, json.dumps({"format": 1, "partitions": partitions}).encode(), many_writers=True)
    return partitions


class PartitionWriter:
    """A writer that appends lines to a partition's file."""

    def __init__(self, folder: Path, partition: int) -> None:
        """Take the file's lock, and cut off an incomplete last line.

        Raises:
            LogLockedError: another writer holds the lock.
        """
        path = partition_file(folder, partition)
        self._file: BinaryIO = path.open("a+b")
        with ExitStack() as opened:
            opened.callback(self._file.close)
            if not try_lock(self._file):
                msg = f"{path} has a writer already: stop it, or write to another log"
                raise LogLockedError(msg)
            _cut_half_line(self._file)
            opened.pop_all()

    def append(self, lines: Iterable[bytes]) -> None:
        """Append whole lines, given without newlines, and flush them to the operating system."""
        self._file.write(b"".join(line + b"\n" for line in lines))
        self._file.flush()

    def close(self) -> None:
        """Release the lock."""
        self._file.close()


class LogWriter(Closing):
    """A writer that appends behaviours to partitions by their user's hash, stamped with the time of appending."""

    def __init__(self, folder: Path, partitions: int | None = None, *, new: int = DEFAULT_PARTITIONS) -> None:
        """Make the log if there is none, see `create_log`, and lock all its partitions; after an error, none.

        Raises:
            LogLockedError: a partition has a writer.
            PartitionCountError: the log has another number of partitions.
            LogDamagedError: its log.json holds something else.
        """
        self.partitions = create_log(folder, partitions, new=new)
        self._writers: list[PartitionWriter] = []
        with ExitStack() as opened:
            opened.callback(self.close)
            for partition in range(self.partitions):
                self._writers.append(PartitionWriter(folder, partition))
            opened.pop_all()

    def append(self, behaviors: Iterable[UserBehavior]) -> None:
        """Append in the order given; all behaviours are flushed on return."""
        lines: list[list[bytes]] = [[] for _ in self._writers]
        stamp = b',"appended_at":%d}' % int(time.time() * 1000)
        for behavior in behaviors:
            line = encode_behavior(behavior)
            lines[stable_hash(behavior.user_id) % len(lines)].append(line[:-1] + stamp)
        for writer, its_lines in zip(self._writers, lines, strict=True):
            if its_lines:
                writer.append(its_lines)

    def close(self) -> None:
        """Release the locks."""
        for writer in self._writers:
            writer.close()


def count_lines(file: Path) -> int:
    """Return the number of complete lines of a file; 0 if it is missing."""
    if not file.exists():
        return 0
    with file.open("rb") as lines:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: lines.read(1 << 20), b""))


def _cut_half_line(file: BinaryIO) -> None:
    """Truncate the file after its last newline."""
    end = file.seek(0, os.SEEK_END)
    keep = end
    while keep:
        start = max(0, keep - _CHUNK_BYTES)
        file.seek(start)
        newline = file.read(keep - start).rfind(b"\n")
        if newline >= 0:
            keep = start + newline + 1
            break
        keep = start
    if keep != end:
        file.truncate(keep)
    file.seek(0, os.SEEK_END)
