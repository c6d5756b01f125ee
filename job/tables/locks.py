"""The lock of a tables folder: readers share it, and a compactor's swap holds it exclusively.

It is an flock on `<tables>/.lock`, so the kernel releases it whenever its holder ends, killed or not. Both sides first
take a gate, so that a continuous sequence of readers does not starve a compactor.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from job.tables.errors import TablesBusyError, UnreadableTableError
from model.file_lock import try_lock
from model.waiting import wait_until

LOCK_NAME = ".lock"
_GATE_NAME = ".gate"
_COMPACTOR_LOCK_NAME = ".compactor.lock"
READER_PATIENCE_S = 60.0
_POLL_S = 0.005


@contextmanager
def shared(tables_dir: Path, patience_s: float = READER_PATIENCE_S) -> Iterator[None]:
    """Keep compactors from swapping files during the block.

    A folder that is missing, or where no lock file is or can be made, is read without a lock: nothing swaps there.

    Raises:
        TablesBusyError: a compactor held the lock, or waited for it, for `patience_s` seconds.
    """
    busy = f"a compactor holds {tables_dir / LOCK_NAME}"
    lock, gate = (_open_to_read(tables_dir / name) for name in (LOCK_NAME, _GATE_NAME))
    with _closing(lock):
        with _closing(gate):
            _take(gate, patience_s, busy, shared=True)
            _take(lock, patience_s, busy, shared=True)
        yield


@contextmanager
def exclusive(tables_dir: Path, patience_s: float) -> Iterator[None]:
    """Keep readers and other swaps out during the block; new readers wait at the gate.

    Raises:
        TablesBusyError: readers held the lock for `patience_s` seconds.
    """
    busy = f"a query is reading {tables_dir}"
    lock, gate = (_open_to_write(tables_dir / name) for name in (LOCK_NAME, _GATE_NAME))
    with _closing(lock, gate):
        _take(gate, patience_s, busy)
        _take(lock, patience_s, busy)
        yield


@contextmanager
def sole_compactor(tables_dir: Path) -> Iterator[None]:
    """Be the folder's only compactor during the block.

    Raises:
        TablesBusyError: another compactor is at work there.
    """
    lock = _open_to_write(tables_dir / _COMPACTOR_LOCK_NAME)
    with _closing(lock):
        _take(lock, 0.0, f"another compactor is at work in {tables_dir}")
        yield


@contextmanager
def _closing(*handles: int | None) -> Iterator[None]:
    """Close the handles that are not None after the block, which releases their locks."""
    try:
        yield
    finally:
        for handle in handles:
            if handle is not None:
                os.close(handle)


def _open_to_write(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)


def _open_to_read(path: Path) -> int | None:
    """Open a lock to share, made if it is missing; None if there is none and none can be made."""
    with suppress(OSError):
        return _open_to_write(path)
    try:
        return os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    except OSError as error:
        msg = f"{path} may not be read by this user ({error.strerror}): let the user read it, or query as another"
        raise UnreadableTableError(msg) from error


def _take(lock: int | None, patience_s: float, busy: str, *, shared: bool = False) -> None:
    if lock is None:
        return
    if not wait_until(lambda: try_lock(lock, shared=shared), timeout_s=patience_s, poll_s=_POLL_S):
        msg = f"{busy}: try again later"
        raise TablesBusyError(msg)
