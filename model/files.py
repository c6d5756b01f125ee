"""Files that are whole or not there: written beside their place, put on disk, and given their name in one move."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import get_ident
from typing import BinaryIO

from model.folders import beside


def draft_of(path: Path) -> Path:
    """Return the path of a file's draft where one writes it at a time; a killed writer leaves it."""
    return beside(path, "draft")


@contextmanager
def whole_file(path: Path, *, many_writers: bool = False) -> Iterator[BinaryIO]:
    """Give a file to write into, and put it in its place at the end; its folder has to be there.

    A reader sees the old content or the new one, after a loss of power too. If the block raises, the old one stays.

    Args:
        path: the place; what is there is replaced.
        many_writers: whether others may write it at once. Each then has a hidden draft of its own, and that of a
            killed one stays; otherwise the next writer takes its place.
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
    """Write a file in one piece; as `whole_file`."""
    with whole_file(path, many_writers=many_writers) as file:
        file.write(content)


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
