"""Files that are whole or not there: written beside their place, synced to disk, and renamed in one step."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import get_ident
from typing import BinaryIO

from model.folders import beside


def draft_of(path: Path) -> Path:
    """Return the path of a file's draft, for one writer at a time; a killed writer leaves it there."""
    return beside(path, "draft")


@contextmanager
def whole_file(path: Path, *, many_writers: bool = False) -> Iterator[BinaryIO]:
    """Yield a file to write into, and put it in its place at the end; its folder has to be there.

    A reader sees the old content or the new one, after a loss of power too. If the block raises, the old one stays.

    Args:
        path: the place of the file; a file that is there is replaced.
        many_writers: True if others may write it at the same time. Each then has a hidden draft of its own, and that
            of a killed one stays; otherwise the next writer overwrites it.
    """
    draft = beside(path, f"{os.getpid()}-{get_ident()}.draft") if many_writers else draft_of(path)
    try:
        with draft.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        with suppress(OSError):
            draft.unlink()
        raise


def replace_file(path: Path, content: bytes, *, many_writers: bool = False) -> None:
    """Write a whole file at once, as `whole_file` does."""
    with whole_file(path, many_writers=many_writers) as file:
        file.write(content)


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def size_of(path: Path) -> int:
    """Return the size of a file, or of all files below a folder, in bytes."""
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
