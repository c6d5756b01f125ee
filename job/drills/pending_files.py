"""The tables' files that a process writes, and the names that they get when their checkpoint is complete.

Flink's sink closes its files at each checkpoint, and renames them once that is complete.
"""

from contextlib import suppress
from pathlib import Path

import psutil

_HIDDEN = ".part-*.inprogress.*"


def open_files(process: int) -> tuple[Path, ...]:
    """Return the hidden files of tables that a process has open; none if it is gone."""
    with suppress(psutil.NoSuchProcess):
        opened = (Path(each.path) for each in psutil.Process(process).open_files())
        return tuple(file for file in opened if file.match(_HIDDEN))
    return ()


def visible(hidden: Path) -> Path:
    """Return the path that a hidden file gets when it is committed."""
    return hidden.with_name(hidden.name[1:].partition(".inprogress.")[0])
