"""A watch by which a process ends with those that started it, however they end."""

import os
import select
from collections.abc import Iterable
from threading import Thread

ORPHANED = 70
"""Exit status of a process whose parent is gone."""


def end_with(processes: Iterable[int]) -> None:
    """Watch processes, and end this one at once when one of them ends, even while it waits for something.

    Nothing is flushed or finished then. The watch is a thread of its own. If one of the processes is gone already, this
    one ends right away.

    Args:
        processes: ids of processes, such as the parent's.
    """
    watched = select.poll()
    for process in processes:
        try:
            watched.register(os.pidfd_open(process), select.POLLIN)
        except ProcessLookupError:
            os._exit(ORPHANED)
    Thread(target=_end_after, args=(watched,), name="parent-watch", daemon=True).start()


def _end_after(watched: "select.poll") -> None:
    watched.poll()
    os._exit(ORPHANED)
