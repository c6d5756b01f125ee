"""The journal that a compactor writes before it swaps files, so that a swap is atomic even if it is killed.

The steps of a swap: the merged file is complete and on disk under a hidden name; the note is written; the merged file
gets its visible name; its sources are removed; the note is removed. At every point either the sources or the merged
file count, never both.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import msgspec

from job.tables import locks
from job.tables.errors import TablesError
from model.files import replace_file, sync

JOURNAL_NAME = ".swap.json"


class Step(StrEnum):
    """The step just completed; after each of them a compactor may be killed."""

    LISTED = "listed"
    MERGED = "merged"
    NOTED = "noted"
    SHOWN = "shown"
    ONE_GONE = "one source gone"
    ALL_GONE = "all sources gone"
    CLEARED = "cleared"


OnStep = Callable[[Step], None]


def ignore_step(_step: Step) -> None:
    """Do nothing after a step: the default of a compactor."""


@dataclass(frozen=True, slots=True)
class Swap:
    """A swap; the names of files are inside its folder.

    Attributes:
        folder: relative to the tables folder, so that the tables folder can be moved.
        merging: hidden name of the merged file.
        target: its visible name.
        sources: the files it replaces.
    """

    folder: str
    merging: str
    target: str
    sources: tuple[str, ...]


def pending(tables_dir: Path) -> Swap | None:
    """Return the swap that is noted but not complete, or None.

    Raises:
        TablesError: the note cannot be read.
    """
    try:
        return msgspec.json.decode((tables_dir / JOURNAL_NAME).read_bytes(), type=Swap)
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError) as error:
        msg = f"{tables_dir / JOURNAL_NAME} is damaged ({error}): compare the files it names, then delete it"
        raise TablesError(msg) from error


def hidden_files(tables_dir: Path) -> frozenset[Path]:
    """Return the files that a reader must leave out because of a half-done swap; call it with the lock held."""
    swap = pending(tables_dir)
    if swap is None or not (tables_dir / swap.folder / swap.target).exists():
        return frozenset()
    return frozenset(tables_dir / swap.folder / name for name in swap.sources)


def carry_out(tables_dir: Path, swap: Swap, on_step: OnStep = ignore_step) -> None:
    """Note the swap and finish it; call it with the lock held exclusively."""
    replace_file(tables_dir / JOURNAL_NAME, msgspec.json.encode(swap))
    sync(tables_dir)
    on_step(Step.NOTED)
    _finish(tables_dir, swap, on_step)


def recover(tables_dir: Path, patience_s: float, on_step: OnStep = ignore_step) -> bool:
    """Finish or undo the swap of a killed compactor; return whether there was one.

    Raises:
        TablesBusyError: readers held the lock for `patience_s` seconds.
        TablesError: the note cannot be read.
    """
    if pending(tables_dir) is None:
        return False
    with locks.exclusive(tables_dir, patience_s):
        swap = pending(tables_dir)
        if swap is not None:
            _finish(tables_dir, swap, on_step)
        return swap is not None


def _finish(tables_dir: Path, swap: Swap, on_step: OnStep) -> None:
    folder = tables_dir / swap.folder
    with contextlib.suppress(FileNotFoundError):
        (folder / swap.merging).rename(folder / swap.target)
        sync(folder)
    # If the merged file is lost, the sources still count.
    if (folder / swap.target).exists():
        on_step(Step.SHOWN)
        for name in swap.sources:
            (folder / name).unlink(missing_ok=True)
            on_step(Step.ONE_GONE)
        sync(folder)
        on_step(Step.ALL_GONE)
    (tables_dir / JOURNAL_NAME).unlink()
    sync(tables_dir)
    on_step(Step.CLEARED)
