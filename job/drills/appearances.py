"""The names that appear in folders, as Linux reports them within microseconds: a poll would be too late."""

import ctypes
import os
import select
import struct
from pathlib import Path
from types import TracebackType
from typing import Self

_CREATED, _RENAMED, _ONLY_FOLDERS = 0x100, 0x80, 0x1000000
_HEAD = struct.Struct("iIII")
_ONE_READ = 65_536


class Appearances:
    """The files and folders that come into watched folders, by being made or renamed, in order.

    It is used as a context manager; a folder below a watched one is not watched itself.
    """

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._folders: dict[int, Path] = {}
        self._read: list[Path] = []

    def __enter__(self) -> Self:
        self._queue = self._checked(self._libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK), "inotify")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._queue)

    def watch(self, folder: Path) -> None:
        """Report what appears in a folder from now on; to watch it again changes nothing.

        Raises:
            OSError: there is no such folder, or the system's limit of watches is reached.
        """
        mask = _CREATED | _RENAMED | _ONLY_FOLDERS
        watched = self._libc.inotify_add_watch(self._queue, os.fsencode(folder), mask)
        self._folders[self._checked(watched, str(folder))] = folder

    def next(self, *, timeout_s: float) -> Path | None:
        """Return the next that appeared and was not returned yet; None if nothing happens for so long."""
        while not self._read:
            ready, _, _ = select.select([self._queue], [], [], timeout_s)
            if not ready:
                return None
            self._read = self._decoded(os.read(self._queue, _ONE_READ))
        return self._read.pop(0)

    def _decoded(self, events: bytes) -> list[Path]:
        found, at = [], 0
        while at < len(events):
            watched, _, _, length = _HEAD.unpack_from(events, at)
            name = events[at + _HEAD.size : at + _HEAD.size + length].rstrip(b"\0")
            at += _HEAD.size + length
            if name:  # else the folder itself is gone
                found.append(self._folders[watched] / os.fsdecode(name))
        return found

    @staticmethod
    def _checked(answer: int, subject: str) -> int:
        if answer < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), subject)
        return answer
