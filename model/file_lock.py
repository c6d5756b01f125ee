"""Locks between processes of one machine, freed by the kernel whenever their holder ends."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

Handle = int | IO[Any]
"""An open file or folder, or its descriptor; the lock is freed when it is closed."""


def lock(handle: Handle, *, shared: bool = False) -> None:
    """Take the lock after waiting for whoever holds it; a shared one keeps only sole holders out."""
    fcntl.flock(handle, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)


def try_lock(handle: Handle, *, shared: bool = False) -> bool:
    """Take the lock if nobody holds it, and return whether it was taken; a shared one keeps only sole holders out."""
    try:
        fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Hold the lock of a file alone while the block runs, after waiting for it; makes the file and its folder."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with _held(os.open(file, os.O_RDWR | os.O_CREAT, 0o666)):
        yield


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder, which has to be there, alone while the block runs, after waiting for it."""
    with _held(os.open(folder, os.O_RDONLY)):
        yield


@contextmanager
def _held(handle: int) -> Iterator[None]:
    try:
        lock(handle)
        yield
    finally:
        os.close(handle)
