"""Writing the embedded behaviour log: one writer a partition file, which holds its lock.

A record is there when its line has its newline. A writer that died in the middle of a line leaves a half one;
the next writer cuts it off (no reader took it, and its producer was never told that it was written).
"""

import json
import os
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from model.datasets.json_lines import encode_behavior
from model.file_lock import try_lock
from model.files import replace_file
from model.records import UserBehavior
from udfs.errors import LogError
from udfs.hashing import stable_hash
from udfs.log.file_log import MANIFEST, partition_file

_CHUNK_BYTES = 1 << 16


class LogLockedError(LogError):
    """Another process writes this partition's file."""


class PartitionCountError(LogError):
    """The log exists with another number of partitions."""


DEFAULT_PARTITIONS = 4


def create_log(folder: Path, partitions: int | None = None) -> int:
    """Makes the folder and its log.json where they are not there, and says how many partitions the log has.

    Args:
        folder: where.
        partitions: how many it must have; None takes what is there, or 4.

    Raises:
        PartitionCountError: the log has another number of partitions.
    """
    folder.mkdir(parents=True, exist_ok=True)
    manifest = folder / MANIFEST
    if manifest.exists():
        there = json.loads(manifest.read_bytes())["partitions"]
        if partitions not in {None, there}:
            msg = f"{folder} has {there} partitions, not {partitions}: use as many, or another folder"
            raise PartitionCountError(msg)
        return int(there)
    partitions = partitions or DEFAULT_PARTITIONS
    replace_file(manifest, json.dumps({"format": 1, "partitions": partitions}).encode(), many_writers=True)
    return partitions


class PartitionWriter:
    """Appends lines to one partition's file."""

    def __init__(self, folder: Path, partition: int) -> None:
        """Takes the file's lock and repairs its end.

        Raises:
            LogLockedError: somebody else holds the lock.
        """
        path = partition_file(folder, partition)
        self._file: BinaryIO = path.open("a+b")
        if not try_lock(self._file):
            self._file.close()
            msg = f"{path} has a writer already: stop it, or write to another log"
            raise LogLockedError(msg)
        _cut_half_line(self._file)

    def append(self, lines: Iterable[bytes]) -> None:
        """Appends whole lines, given without newlines, and hands them to the operating system."""
        self._file.write(b"".join(line + b"\n" for line in lines))
        self._file.flush()

    def close(self) -> None:
        """Gives the lock back."""
        self._file.close()


class LogWriter:
    """Appends behaviours to all partitions, each by its user's hash, stamped with the time of appending."""

    def __init__(self, folder: Path, partitions: int | None = None) -> None:
        """Makes the log where there is none, and locks all its partitions.

        Raises:
            LogLockedError: a partition has a writer.
            PartitionCountError: the log has another number of partitions.
        """
        self.partitions = create_log(folder, partitions)
        self._writers: list[PartitionWriter] = []
        try:
            for partition in range(self.partitions):
                self._writers.append(PartitionWriter(folder, partition))
        except LogLockedError:
            self.close()
            raise

    def append(self, behaviors: Iterable[UserBehavior]) -> None:
        """Appends in the order given; all are flushed on return."""
        lines: list[list[bytes]] = [[] for _ in self._writers]
        stamp = b',"appended_at":%d}' % int(time.time() * 1000)
        for behavior in behaviors:
            line = encode_behavior(behavior)
            lines[stable_hash(behavior.user_id) % len(lines)].append(line[:-1] + stamp)
        for writer, its_lines in zip(self._writers, lines, strict=True):
            if its_lines:
                writer.append(its_lines)

    def close(self) -> None:
        """Gives the locks back."""
        for writer in self._writers:
            writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def count_lines(file: Path) -> int:
    """How many complete lines a file has; 0 where it is not there."""
    if not file.exists():
        return 0
    with file.open("rb") as lines:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: lines.read(1 << 20), b""))


def _cut_half_line(file: BinaryIO) -> None:
    """Cuts the file back to its last newline."""
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
