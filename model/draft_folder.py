"""A folder that is written beside its place: locked as long as its writer lives, removed when that is over."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from model.file_lock import lock, locked_folder, try_lock


@contextmanager
def draft_folder(draft: Path, *, all_drafts: str, lock_file: str) -> Iterator[None]:
    """Make a draft with nothing but a locked file, and remove it at the end; first remove those of dead processes.

    A file in the draft is locked and not the draft, as writers of whole folders into it lock that.

    Args:
        draft: the folder to make.
        all_drafts: pattern of the names of all drafts for the same place, in the same folder.
        lock_file: name of the file in each draft.
    """
    with locked_folder(draft.parent):
        for left in draft.parent.glob(all_drafts):
            _remove_if_left(left, left / lock_file)
        draft.mkdir()
        handle = os.open(draft / lock_file, os.O_RDWR | os.O_CREAT, 0o666)
        lock(handle)
    try:
        yield
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        os.close(handle)


def _remove_if_left(draft: Path, lock_file: Path) -> None:
    """Remove a draft unless the process that writes it lives."""
    try:
        handle = os.open(lock_file, os.O_RDONLY)
    except FileNotFoundError:
        shutil.rmtree(draft, ignore_errors=True)
        return
    try:
        if try_lock(handle):
            shutil.rmtree(draft, ignore_errors=True)
    finally:
        os.close(handle)
