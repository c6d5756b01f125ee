"""Locks between processes of one machine, freed by the kernel whenever their holder ends."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

Handle = int | IO[Any]
"""An open file or folder, or its descriptor; the lock is freed when it is closed."""


def lock(handle: Handle) -> None:
    """Take the lock alone, after waiting for whoever holds it."""
    fcntl.flock(handle, fcntl.LOCK_EX)


def try_lock(handle: Handle, *, shared: bool = False) -> bool:
    """Take the lock if nobody holds it, and return whether it was taken; a shared one keeps only sole holders out."""
    try:
        fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of a folder, or of a file that is made with its folder, alone while the block runs; wait for it."""
    if not path.is_dir():
        path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR | os.O_CREAT, 0o666)
    try:
        lock(handle)
        yield
    finally:
        os.close(handle)
