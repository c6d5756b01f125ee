"""Writes a file whole or not at all, and never over one that it was not told to replace."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from job.tables.errors import ExportError
from model.files import sync, whole_file


def check_target(path: Path, *, force: bool) -> None:
    """Refuse a target that is there, unless it is a file and may be replaced.

    Raises:
        ExportError: it is not to be written.
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
    with new_file(path, force=force) as hidden, hidden.open("wb") as file:
        for chunk in content:
            file.write(chunk)


@contextmanager
def new_file(path: Path, *, force: bool) -> Iterator[Path]:
    """Give a hidden name to write to, and show that file when all of it is on disk.

    Raises:
        ExportError: the file came in the meantime, or cannot be written.
    """
    target = path.resolve()
    try:
        with whole_file(target, many_writers=True) as file:
            hidden = Path(file.name)
            yield hidden
            sync(hidden)  # the writer may have made a new file of that name
            check_target(path, force=force)
    except OSError as error:
        msg = f"{path} cannot be written: {error.strerror or error}; give another --out"
        raise ExportError(msg) from error
