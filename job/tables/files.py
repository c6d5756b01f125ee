"""The committed files of a tables folder, and consistent lists of them for readers.

Committed files are those without a leading dot: Flink renames a file once its checkpoint is complete.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

from job.tables import journal, locks
from job.tables.errors import UnreadableTableError, unreadable
from job.tables.schema import ATTEMPTS, TABLES
from model.records import EpochMs

Snapshot = Mapping[str, tuple[Path, ...]]
"""The files of each table, by its name."""


@contextmanager
def reading(tables_dir: Path) -> Iterator[Snapshot]:
    """Yield the files that hold every committed row exactly once; none is swapped during the block.

    If a killed compactor left a swap half done, its journal decides which files count; nothing is written.

    Raises:
        TablesBusyError: a compactor held the lock for a minute.
        UnreadableTableError: a folder or file is there, but cannot be read.
        TablesError: the journal cannot be read.
    """
    with locks.shared(tables_dir):
        yield readable(tables_dir)


@contextmanager
def settled(tables_dir: Path, patience_s: float = locks.READER_PATIENCE_S) -> Iterator[None]:
    """Keep the folder free of half-done swaps during the block, for readers that list it themselves.

    Raises:
        TablesBusyError: another process held the lock for `patience_s` seconds.
        UnreadableTableError: a folder or file is there, but cannot be read.
    """
    while True:
        with locks.shared(tables_dir, patience_s):
            if journal.pending(tables_dir) is None:
                readable(tables_dir)
                yield
                return
        journal.recover(tables_dir, patience_s)


def readable(tables_dir: Path) -> Snapshot:
    """Return the `snapshot` after checking that all its files can be read.

    A table that cannot be read must not appear as an empty one.

    Raises:
        UnreadableTableError: a folder or file is there, but cannot be read.
    """
    try:
        str(tables_dir.absolute()).encode()
    except UnicodeEncodeError as error:
        msg = f"{str(tables_dir)!a} has a name that is no UTF-8: rename the folder"
        raise UnreadableTableError(msg) from error
    with as_unreadable(tables_dir):
        files = snapshot(tables_dir)
    for path in chain.from_iterable(files.values()):
        if not os.access(path, os.R_OK, effective_ids=os.access in os.supports_effective_ids) and path.exists():
            raise unreadable(path)
    return files


@contextmanager
def as_unreadable(tables_dir: Path) -> Iterator[None]:
    """Turn an error of listing folders or reading files into an `unreadable` that names the path."""
    try:
        yield
    except OSError as error:
        raise unreadable(error.filename or tables_dir, error) from error


def has_tables(tables_dir: Path) -> bool:
    """Return whether a table's folder is in the folder.

    Raises:
        UnreadableTableError: the folder cannot be read.
    """
    with as_unreadable(tables_dir), os.scandir(tables_dir) as entries:
        return any(entry.name in TABLES for entry in entries)


def is_empty(tables_dir: Path) -> bool:
    """Return whether the folder has only hidden files, such as locks: a job may write its first tables later.

    Raises:
        UnreadableTableError: the folder cannot be read.
    """
    with as_unreadable(tables_dir), os.scandir(tables_dir) as entries:
        return all(entry.name.startswith(".") for entry in entries)


def snapshot(tables_dir: Path) -> Snapshot:
    """List each table's committed files; the list is only valid while the lock is held."""
    hidden = journal.hidden_files(tables_dir)
    return {
        name: tuple(
            path for folder in hour_folders(tables_dir, name) for path in committed(folder) if path not in hidden
        )
        for name in TABLES
    }


def written_since(files: Snapshot, since_ms: EpochMs) -> Snapshot:
    """Return the files of the hours from a time on; of attempts all, as these decide which rows count."""
    hour = datetime.fromtimestamp(since_ms / 1000, UTC)
    first = (f"dt={hour:%Y-%m-%d}", f"hour={hour:%H}")
    return {
        name: tuple(path for path in paths if name == ATTEMPTS.name or path.parts[-3:-1] >= first)
        for name, paths in files.items()
    }


def hour_folders(tables_dir: Path, table: str) -> list[Path]:
    """Return the `dt=.../hour=...` folders of a table, oldest first.

    Raises:
        OSError: a folder is there, but cannot be read; a glob would skip it silently.
    """
    days = _folders(tables_dir / table, "dt=")
    return [hour for day in days for hour in _folders(day, "hour=")]


def committed(folder: Path) -> list[Path]:
    """Return the folder's files that are not hidden, ordered by name; none if the folder is gone."""
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        names = [entry.name for entry in entries if not entry.name.startswith((".", "_")) and entry.is_file()]
        return [folder / name for name in sorted(names)]
    return []


def _folders(parent: Path, prefix: str) -> list[Path]:
    with suppress(FileNotFoundError), os.scandir(parent) as entries:
        return [parent / name for name in sorted(each.name for each in entries if each.name.startswith(prefix))]
    return []
