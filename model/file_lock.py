"""Locks between processes of one machine; the kernel frees a lock when its owner ends."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

_Handle = int | IO[Any]
"""An open file or folder, or its descriptor; the lock is freed when it is closed."""


def lock(handle: _Handle, *, shared: bool = False) -> None:
    """Wait for the lock, and take it; a shared lock keeps out exclusive ones only."""
    fcntl.flock(handle, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)


def try_lock(handle: _Handle, *, shared: bool = False) -> bool:
    """Take the lock if it is free, and return True if it was; a shared lock keeps out exclusive ones only."""
    try:
        fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Wait for the exclusive lock of a file, and own it while the block runs; make the file and its folder first."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with _locked_handle(os.open(file, os.O_RDWR | os.O_CREAT, 0o666)):
        yield


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Wait for the exclusive lock of a folder, which has to be there, and own it while the block runs."""
    with _locked_handle(os.open(folder, os.O_RDONLY)):
        yield


@contextmanager
def _locked_handle(handle: int) -> Iterator[None]:
    try:
        lock(handle)
        yield
    finally:
        os.close(handle)
