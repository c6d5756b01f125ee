"""The gate of a drill's model: a file whose first byte decides whether it answers as trained, or how it fails."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import IntEnum
from pathlib import Path


class Misbehavior(IntEnum):
    """The first byte of the gate's file, and the model's failure with it."""

    NONE = 0
    RAISES = 1
    NOT_A_NUMBER = 2
    WRONG_SHAPE = 3
    UNKNOWN_ITEMS = 4


class Gate:
    """The gate in a folder; a model that finds a pipe in its place hangs until the gate is opened."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.path = folder / "gate"

    def open(self) -> None:
        """Have the model answer as trained from now on; a call that hung until now fails."""
        self.set(Misbehavior.NONE)

    def set(self, misbehavior: Misbehavior) -> None:
        """Have the model fail in a certain manner from now on."""
        self._folder.mkdir(parents=True, exist_ok=True)
        new = self._folder / "next"
        new.write_bytes(bytes([misbehavior]))
        with self._released():
            new.rename(self.path)

    def shut(self) -> None:
        """Have every call from now on hang."""
        new = self._folder / "next"
        os.mkfifo(new)
        with self._released():
            new.rename(self.path)

    @contextmanager
    def _released(self) -> Iterator[None]:
        """Let those who wait in a pipe at the gate go on after the block: they find it empty, and fail."""
        before = self._folder / "before"
        if is_pipe := self.path.is_fifo():
            before.hardlink_to(self.path)
        yield
        if is_pipe:
            with suppress(OSError):
                os.close(os.open(before, os.O_RDWR))
            before.unlink()
