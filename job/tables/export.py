"""Writes a file whole or not at all, and never over one that it was not told to replace."""

from collections.abc import Iterable
from pathlib import Path

from job.tables.errors import ExportError
from model.files import whole_file


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
    """Write the chunks under a hidden name, and show them when all are on disk.

    Raises:
        ExportError: the file came in the meantime, or cannot be written.
    """
    target = path.resolve()
    try:
        with whole_file(target, many_writers=True) as file:
            for chunk in content:
                file.write(chunk)
            check_target(path, force=force)
    except OSError as error:
        msg = f"{path} cannot be written: {error.strerror or error}; give another --out"
        raise ExportError(msg) from error
