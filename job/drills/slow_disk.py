"""A disk that is slow to open files: Linux asks this process before each opening, and it answers late (fanotify).

If this process dies, the kernel lets all go on.
"""

import ctypes
import os
import select
import struct
import threading
import time
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Self

_CLOSED_ON_EXEC, _CONTENT_CLASS, _ADD, _WHOLE_DISK, _BEFORE_OPENING, _ALLOW = 0x1, 0x4, 0x1, 0x100, 0x10000, 0x1
_AT_CWD = -100
_EVENT = struct.Struct("IBBHQii")  # length, version, reserved, length of this, mask, file, process
_ANSWER = struct.Struct("iI")
_ONE_READ = 4096
_TICK_S = 0.05


class SlowDisk:
    """The disk on which a folder is, on which each opening of a file takes `delay_s` longer until it is closed.

    Attributes:
        opened: the number of openings that were delayed.
    """

    def __init__(self, folder: Path, delay_s: float) -> None:
        """Begin at once.

        Raises:
            OSError: only root may, and the kernel has to have fanotify.
        """
        libc = ctypes.CDLL(None, use_errno=True)
        flags = os.O_RDONLY | os.O_LARGEFILE
        self._asked = _checked(libc.fanotify_init(_CONTENT_CLASS | _CLOSED_ON_EXEC, flags), folder)
        mask = ctypes.c_uint64(_BEFORE_OPENING)
        _checked(libc.fanotify_mark(self._asked, _ADD | _WHOLE_DISK, mask, _AT_CWD, os.fsencode(folder)), folder)
        self._delay_s = delay_s
        self._waiting: deque[tuple[float, int]] = deque()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._answer, name="slow disk", daemon=True)
        self.opened = 0
        self._thread.start()

    def close(self) -> None:
        """Let all go on."""
        self._stop.set()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _answer(self) -> None:
        try:
            while not self._stop.is_set():
                ready, _, _ = select.select([self._asked], [], [], _TICK_S)
                if ready:
                    self._take(os.read(self._asked, _ONE_READ))
                while self._waiting and self._waiting[0][0] <= time.monotonic():
                    self._allow(self._waiting.popleft()[1])
        finally:
            for _, file in self._waiting:
                self._allow(file)
            os.close(self._asked)

    def _take(self, events: bytes) -> None:
        at, due = 0, time.monotonic() + self._delay_s
        while at < len(events):
            length, _, _, _, _, file, _ = _EVENT.unpack_from(events, at)
            at += length
            self._waiting.append((due, file))
            self.opened += 1

    def _allow(self, file: int) -> None:
        os.write(self._asked, _ANSWER.pack(file, _ALLOW))
        os.close(file)


def _checked(answer: int, folder: Path) -> int:
    if answer < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(folder))
    return answer
