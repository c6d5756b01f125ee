"""The lock of a tables folder: readers share it, a compactor's swap holds it alone.

It is an flock on `<tables>/.lock`, so the kernel frees it whenever its holder ends, killed or not.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from job.tables.errors import TablesBusyError

LOCK_NAME = ".lock"
COMPACTOR_LOCK_NAME = ".compactor.lock"
READER_PATIENCE_S = 60.0
_POLL_S = 0.005


@contextmanager
def shared(tables_dir: Path, patience_s: float = READER_PATIENCE_S) -> Iterator[None]:
    """Keep compactors from swapping files while the block runs.

    A folder that is missing, or has no lock file and lets none be made, is read without: nothing swaps there.

    Raises:
        TablesBusyError: a swap held the lock for `patience_s` seconds.
    """
    lock = _open_to_read(tables_dir / LOCK_NAME)
    if lock is None:
        yield
        return
    with _held(lock, fcntl.LOCK_SH, patience_s, f"a compactor holds {tables_dir / LOCK_NAME}"):
        yield


@contextmanager
def exclusive(tables_dir: Path, patience_s: float) -> Iterator[None]:
    """Keep readers and other swaps out while the block runs.

    Raises:
        TablesBusyError: readers held the lock for `patience_s` seconds.
    """
    lock = os.open(tables_dir / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o666)
    with _held(lock, fcntl.LOCK_EX, patience_s, f"a query is reading {tables_dir}"):
        yield


@contextmanager
def sole_compactor(tables_dir: Path) -> Iterator[None]:
    """Be the folder's only compactor while the block runs.

    Raises:
        TablesBusyError: another compactor is at work there.
    """
    lock = os.open(tables_dir / COMPACTOR_LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o666)
    with _held(lock, fcntl.LOCK_EX, 0.0, f"another compactor is at work in {tables_dir}"):
        yield


def _open_to_read(path: Path) -> int | None:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except FileNotFoundError:
        return None
    except OSError:
        return os.open(path, os.O_RDONLY) if path.exists() else None


@contextmanager
def _held(lock: int, kind: int, patience_s: float, busy: str) -> Iterator[None]:
    try:
        deadline = time.monotonic() + patience_s
        while not _try(lock, kind):
            if time.monotonic() >= deadline:
                msg = f"{busy}: try again later"
                raise TablesBusyError(msg)
            time.sleep(_POLL_S)
        yield
    finally:
        os.close(lock)


def _try(lock: int, kind: int) -> bool:
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
