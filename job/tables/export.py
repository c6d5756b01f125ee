"""The export of a query's rows to a file: whole or not at all, and never over a file without `force`."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from job.tables.errors import ExportError
from model.files import whole_file


def check_target(path: Path, *, force: bool) -> None:
    """Refuse a target that exists, unless it is a file and may be replaced.

    Raises:
        ExportError: the target is refused, or its folder is missing.
    """
    if path.is_dir() or (path.exists() and not path.is_file()):
        msg = f"{path} is no file: give another --out"
    elif path.exists() and not force:
        msg = f"{path} is there already: give another --out, or --force to replace it"
    elif not path.parent.is_dir():
        msg = f"{path.parent} is no folder: make it, or give another --out"
    else:
        return
    raise ExportError(msg)


def export(path: Path, content: Iterable[bytes], *, force: bool) -> None:
    """Write the chunks as a file; errors as in `new_file`."""
    with new_file(path, force=force) as file:
        for chunk in content:
            file.write(chunk)


@contextmanager
def new_file(path: Path, *, force: bool) -> Iterator[BinaryIO]:
    """Give a hidden file to write, by itself or by its name, and show it at the end.

    Raises:
        ExportError: the file came in the meantime, or cannot be written.
    """
    try:
        with whole_file(path.resolve(), many_writers=True) as file:
            yield file
            check_target(path, force=force)
    except OSError as error:
        msg = f"{path} cannot be written: {error.strerror or error}; give another --out"
        raise ExportError(msg) from error
