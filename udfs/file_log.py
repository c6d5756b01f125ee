"""The embedded behaviour log: a folder of JSON-lines files.

`log.json` says how many partitions there are, `partition-0000.jsonl` and so on hold one record a line. Files only
grow. A last line without its newline is not there yet. A file that shrank, or whose content before the read position
changed, is an error that names it: offsets would mean something else.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from zlib import crc32

import msgspec

from udfs.log_reader import LogReplacedError, LogTruncatedError, MissingLogError, Poll
from udfs.parsing import LONGEST_RECORD_BYTES, MAX_RAW_BYTES, LogRecord

MANIFEST = "log.json"
_CHUNK_BYTES = LONGEST_RECORD_BYTES
"""What one read takes at most."""
_TAIL_BYTES = 64


@dataclass(frozen=True, slots=True)
class FileLog:
    """A log in a folder that every TaskManager sees."""

    folder: Path

    def open(self) -> "FileLogReader":
        """A reader of its own for each subtask."""
        return FileLogReader(self.folder)


def partition_file(folder: Path, partition: int) -> Path:
    """Where a partition's records are."""
    return folder / f"partition-{partition:04d}.jsonl"


class _Cursor(msgspec.Struct, array_like=True, frozen=True):
    """How far a file was read, and a check of the last bytes before that place."""

    position: int = 0
    tail_size: int = 0
    tail_crc: int = 0


_encode_cursor = msgspec.msgpack.Encoder().encode
_decode_cursor = msgspec.msgpack.Decoder(_Cursor).decode


class FileLogReader:
    """The embedded log's reader; one per subtask."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[int, BinaryIO] = {}

    def partitions(self) -> int:
        """As `log.json` says.

        Raises:
            MissingLogError: there is none.
        """
        try:
            return int(json.loads((self._folder / MANIFEST).read_bytes())["partitions"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            msg = f"no behaviour log in {self._folder}: `recloop replay` makes one, or set log.folder"
            raise MissingLogError(msg) from error

    def poll(self, partition: int, next_offset: int, cursor: bytes, limit: int) -> Poll:
        """Up to `limit` lines that are complete.

        Raises:
            LogTruncatedError: the file is shorter than what was read of it.
            LogReplacedError: what was read of it is no longer there.
        """
        place = _decode_cursor(cursor) if cursor else _Cursor()
        file = self._open(partition, place)
        if file is None:
            return Poll([], next_offset, cursor, more=False)
        if (size := os.fstat(file.fileno()).st_size) <= place.position:
            _check_size(file, size, place)
            return Poll([], next_offset, cursor, more=False)
        _check_tail(file, place)
        chunk = file.read(_CHUNK_BYTES)
        lines, used = _complete_lines(chunk, limit)
        if not lines and len(chunk) == _CHUNK_BYTES:
            return self._long_line(file, partition, next_offset, place, chunk)
        records = [LogRecord(partition, next_offset + i, line, len(line)) for i, line in enumerate(lines)]
        position = place.position + used
        moved = _encode_cursor(_tail(chunk[:used], position)) if used else cursor
        return Poll(records, next_offset + len(records), moved, more=position < size and bool(lines))

    def silent_ms(self) -> int:
        """Files answer at once."""
        return 0

    def close(self) -> None:
        """Closes the partitions' files."""
        for file in self._files.values():
            file.close()
        self._files.clear()

    def _open(self, partition: int, place: _Cursor) -> BinaryIO | None:
        """The partition's file, checked against the place where reading goes on when it is opened (again)."""
        path = partition_file(self._folder, partition)
        try:
            there = path.stat()
        except FileNotFoundError:
            if place.position:
                msg = f"{path} is gone, after {place.position} bytes of it were read"
                raise LogReplacedError(msg) from None
            return None
        file = self._files.get(partition)
        if file is None or not os.path.samestat(os.fstat(file.fileno()), there):
            if file is not None:
                file.close()
            # Unbuffered: what was read ahead may be cut off and written anew.
            file = self._files[partition] = path.open("rb", buffering=0)
            _check_tail(file, place)
        return file

    def _long_line(self, file: BinaryIO, partition: int, offset: int, place: _Cursor, start: bytes) -> Poll:
        """Steps over one line longer than a chunk; it becomes a dead letter of its first bytes."""
        size, chunk = len(start), b""
        while piece := file.read(_CHUNK_BYTES):
            end = piece.find(b"\n")
            chunk = piece if end < 0 else piece[: end + 1]
            size += len(chunk)
            if end >= 0:
                record = LogRecord(partition, offset, start[:MAX_RAW_BYTES], size - 1)
                moved = _encode_cursor(_tail(chunk, place.position + size))
                return Poll([record], offset + 1, moved, more=True)
        return Poll([], offset, _encode_cursor(place), more=False)


def _complete_lines(chunk: bytes, limit: int) -> tuple[list[bytes], int]:
    """The complete lines of a chunk, at most `limit`, and how many bytes they take with their newlines."""
    lines = chunk.split(b"\n", limit)
    rest = lines.pop()
    return lines, len(chunk) - len(rest)


def _tail(read: bytes, position: int) -> _Cursor:
    tail = read[-_TAIL_BYTES:]
    return _Cursor(position, len(tail), crc32(tail))


def _check_size(file: BinaryIO, size: int, place: _Cursor) -> None:
    if size < place.position:
        msg = f"{file.name} has {size} bytes, but {place.position} were read: it was truncated"
        raise LogTruncatedError(msg)


def _check_tail(file: BinaryIO, place: _Cursor) -> None:
    """Leaves the file at the place where reading goes on."""
    _check_size(file, os.fstat(file.fileno()).st_size, place)
    file.seek(place.position - place.tail_size)
    if crc32(file.read(place.tail_size)) != place.tail_crc:
        msg = f"{file.name} no longer holds what was read before byte {place.position}: it was replaced"
        raise LogReplacedError(msg)
