"""The embedded behaviour log: a folder of JSON-lines files.

`log.json` holds the number of partitions, `partition-0000.jsonl` and so on hold one record per line. Files only grow. A
last line without its newline does not count yet. A file that shrank, or whose content before the read position
changed, is an error that names it: offsets would mean something else.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, BinaryIO, Literal
from zlib import crc32

import msgspec

from udfs.log.parsing import LONGEST_RECORD_BYTES, MAX_RAW_BYTES, LogRecord
from udfs.log.reader import LogDamagedError, LogReplacedError, LogTruncatedError, MissingLogError, Poll

MANIFEST = "log.json"
MOST_PARTITIONS = 100_000
_CHUNK_BYTES = LONGEST_RECORD_BYTES
"""Most bytes of one read."""
_TAIL_BYTES = 64
"""Number of the last bytes read whose checksum shows that the file is still the same."""
_SEARCHED_BYTES = 16 * _CHUNK_BYTES
"""Most bytes that one poll searches for the end of a long line."""


@dataclass(frozen=True, slots=True)
class FileLog:
    """A log in a folder that every TaskManager sees."""

    folder: Path

    def open(self) -> "FileLogReader":
        """Open a reader; each subtask has one of its own."""
        return FileLogReader(self.folder)


def partition_file(folder: Path, partition: int) -> Path:
    """Return the file of a partition's records."""
    return folder / f"partition-{partition:04d}.jsonl"


class _Manifest(msgspec.Struct, frozen=True):
    """The content of `log.json`."""

    partitions: Annotated[int, msgspec.Meta(ge=1, le=MOST_PARTITIONS)]
    format: Literal[1] = 1


def partitions_of(folder: Path) -> int:
    """Return the number of partitions that a log's `log.json` holds.

    Raises:
        MissingLogError: there is none.
        LogDamagedError: it holds something else.
    """
    file = folder / MANIFEST
    try:
        return msgspec.json.decode(file.read_bytes(), type=_Manifest).partitions
    except (FileNotFoundError, NotADirectoryError) as error:
        msg = f"no behaviour log in {folder}: `recloop replay` makes one, or set log.folder"
        raise MissingLogError(msg) from error
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        msg = (
            f"{file} is damaged or of another version ({error}): put its number of partitions back, as "
            '{"format": 1, "partitions": 4}, or take another log folder'
        )
        raise LogDamagedError(msg) from error


class _Cursor(msgspec.Struct, array_like=True, frozen=True):
    """The position up to which a file was read, and a checksum of the last bytes before it."""

    position: int = 0
    tail_size: int = 0
    tail_crc: int = 0


_encode_cursor = msgspec.msgpack.Encoder().encode
_decode_cursor = msgspec.msgpack.Decoder(_Cursor).decode


@dataclass(frozen=True, slots=True)
class _Place:
    """The place where a poll begins: the byte, its record's offset, the cursor of both, and the file's size now."""

    file: BinaryIO
    partition: int
    offset: int
    cursor: bytes
    begins: int
    size: int

    def nothing(self, *, more: bool) -> Poll:
        """Return a poll without records that stays at this place."""
        return Poll(records=[], next_offset=self.offset, cursor=self.cursor, more=more)


class _Unended(msgspec.Struct, frozen=True):
    """A last line whose end was not found: its first byte, and a cursor up to which there is no end.

    It is only remembered, so that no byte is read again at every poll; a new reader searches again.
    """

    begins: int
    searched: _Cursor


class FileLogReader:
    """The embedded log's reader; one per subtask."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[int, BinaryIO] = {}
        self._unended: dict[int, _Unended] = {}

    def partitions(self) -> int:
        """Return the number of partitions that `log.json` holds.

        Raises:
            MissingLogError: there is none.
            LogDamagedError: it holds something else.
        """
        return partitions_of(self._folder)

    def poll(self, partition: int, next_offset: int, cursor: bytes, limit: int) -> Poll:
        """Return up to `limit` complete lines.

        Raises:
            LogTruncatedError: the file is shorter than what was read of it.
            LogReplacedError: what was read of it is no longer there.
        """
        place = _decode_cursor(cursor) if cursor else _Cursor()
        file = self._open(partition, place)
        if file is None:
            return Poll(records=[], next_offset=next_offset, cursor=cursor, more=False)
        if (size := os.fstat(file.fileno()).st_size) <= place.position:
            _check_size(file, size, place)
            return Poll(records=[], next_offset=next_offset, cursor=cursor, more=False)
        _check_tail(file, place)
        at = _Place(file=file, partition=partition, offset=next_offset, cursor=cursor, begins=place.position, size=size)
        known = self._unended.get(partition)
        if known is None or known.begins != at.begins or known.searched.position > size:
            return self._read_lines(at, limit)
        # A line without an end is known to begin here; the bytes searched may have been replaced since.
        return self._search_on(at, limit) if _holds(file, known.searched) else self._read_lines(at, limit)

    def silent_ms(self) -> int:
        """Return 0, as files answer at once."""
        return 0

    def close(self) -> None:
        """Close the partitions' files."""
        for file in self._files.values():
            file.close()
        self._files.clear()

    def _open(self, partition: int, place: _Cursor) -> BinaryIO | None:
        """Return the partition's file, checked against the read position if it had to be opened (again).

        None where there is no file and nothing of it was read.
        """
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

    def _read_lines(self, at: _Place, limit: int) -> Poll:
        at.file.seek(at.begins)
        chunk = at.file.read(_CHUNK_BYTES)
        *lines, rest = chunk.split(b"\n", limit)
        if not lines:
            self._unended[at.partition] = _Unended(begins=at.begins, searched=_tail(chunk, at.begins + len(chunk)))
            return self._search_on(at, limit) if len(chunk) == _CHUNK_BYTES else at.nothing(more=False)
        records = [
            LogRecord(partition=at.partition, offset=offset, raw=line, size=len(line))
            for offset, line in enumerate(lines, at.offset)
        ]
        used = len(chunk) - len(rest)
        position = at.begins + used
        return Poll(
            records=records,
            next_offset=at.offset + len(records),
            cursor=_encode_cursor(_tail(chunk[:used], position)),
            more=position < at.size,
        )

    def _search_on(self, at: _Place, limit: int) -> Poll:
        """Search for the end of the last line in the bytes that were not searched before."""
        searched = self._unended[at.partition].searched
        position, tail = searched.position, b""
        at.file.seek(position)
        while position < searched.position + _SEARCHED_BYTES and (piece := at.file.read(_CHUNK_BYTES)):
            if (found := piece.find(b"\n")) >= 0:
                del self._unended[at.partition]
                return self._ended(at, position + found, limit)
            position += len(piece)
            tail = piece
        if tail:
            self._unended[at.partition] = _Unended(begins=at.begins, searched=_tail(tail, position))
        return at.nothing(more=position < at.size)

    def _ended(self, at: _Place, end: int, limit: int) -> Poll:
        """Return the line whose newline is at `end`; one longer than a chunk is a dead letter of its first bytes."""
        size = end - at.begins
        if size < _CHUNK_BYTES:
            return self._read_lines(at, limit)
        at.file.seek(at.begins)
        record = LogRecord(partition=at.partition, offset=at.offset, raw=at.file.read(MAX_RAW_BYTES), size=size)
        at.file.seek(end + 1 - _TAIL_BYTES)
        moved = _encode_cursor(_tail(at.file.read(_TAIL_BYTES), end + 1))
        return Poll(records=[record], next_offset=at.offset + 1, cursor=moved, more=end + 1 < at.size)


def _tail(read: bytes, position: int) -> _Cursor:
    tail = read[-_TAIL_BYTES:]
    return _Cursor(position=position, tail_size=len(tail), tail_crc=crc32(tail))


def _check_size(file: BinaryIO, size: int, place: _Cursor) -> None:
    if size < place.position:
        msg = f"{file.name} has {size} bytes, but {place.position} were read: it was truncated"
        raise LogTruncatedError(msg)


def _check_tail(file: BinaryIO, place: _Cursor) -> None:
    """Check that the file holds what was read of it, and leave it at the place where reading goes on."""
    _check_size(file, os.fstat(file.fileno()).st_size, place)
    if not _holds(file, place):
        msg = f"{file.name} no longer holds what was read before byte {place.position}: it was replaced"
        raise LogReplacedError(msg)


def _holds(file: BinaryIO, place: _Cursor) -> bool:
    """Return whether the bytes before the place are those that were read; leave the file there."""
    file.seek(place.position - place.tail_size)
    return crc32(file.read(place.tail_size)) == place.tail_crc
