"""The committed files of a tables folder, and how a reader gets a list of them that stays right.

Committed files are those without a leading dot: Flink renames a file once its checkpoint is complete.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from job.tables import journal, locks
from job.tables.schema import TABLES

Snapshot = Mapping[str, tuple[Path, ...]]
"""The files of each table, by its name."""


@contextmanager
def reading(tables_dir: Path) -> Iterator[Snapshot]:
    """Give the files that hold every committed row exactly once; none is swapped while the block runs.

    Files whose swap a killed compactor left half done are chosen by its journal; nothing is written.

    Raises:
        TablesBusyError: a compactor held the lock for a minute.
        TablesError: the journal cannot be read.
    """
    with locks.shared(tables_dir):
        yield snapshot(tables_dir)


@contextmanager
def settled(tables_dir: Path, patience_s: float = locks.READER_PATIENCE_S) -> Iterator[None]:
    """Keep the folder free of half-done swaps while the block runs, for readers that list it themselves.

    Raises:
        TablesBusyError: another process held the lock for `patience_s` seconds.
    """
    while True:
        with locks.shared(tables_dir, patience_s):
            if journal.pending(tables_dir) is None:
                yield
                return
        journal.recover(tables_dir, patience_s)


def snapshot(tables_dir: Path) -> Snapshot:
    """List each table's committed files; only right while the lock is held."""
    hidden = journal.hidden_files(tables_dir)
    return {
        name: tuple(
            path for folder in hour_folders(tables_dir, name) for path in committed(folder) if path not in hidden
        )
        for name in TABLES
    }


def hour_folders(tables_dir: Path, table: str) -> list[Path]:
    """The `dt=.../hour=...` folders of a table, oldest first."""
    return sorted((tables_dir / table).glob("dt=*/hour=*"))


def committed(folder: Path) -> list[Path]:
    """The folder's files that are not hidden, by name."""
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if not entry.name.startswith((".", "_")) and entry.is_file()]
    return [folder / name for name in sorted(names)]
