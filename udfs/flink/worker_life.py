"""The end of a Python worker: with the TaskManager that started it, or when a call in it hangs or it has no memory.

A JVM killed with -9 leaves its workers behind, for ever: they wait for it, and hold lists that they have not sent yet.
By the time they could send them, others wrote newer ones, and a compacted topic keeps what was written last.
"""

import logging
import os
import time
from functools import cache

import psutil

from model.parent_watch import end_with

_log = logging.getLogger(__name__)
_JVM = "java"
_HUNG, _NO_MEMORY = 71, 72
_LOGGED_S = 0.5
"""Time that the line before the end takes to the TaskManager's log: another thread of the worker sends it."""


@cache
def end_with_task_manager() -> None:
    """Have this process end at once when the JVM it belongs to does, or any process between the two.

    Every operator that runs in a worker calls it when it is opened; it watches once per process. It does nothing in a
    process that no JVM started.
    """
    ancestors = psutil.Process().parents()
    jvm = next((number for number, each in enumerate(ancestors) if each.name() == _JVM), None)
    if jvm is None:
        return
    # Nothing is flushed or finished at that end: what was not acknowledged is made again from the checkpoint.
    end_with(ancestor.pid for ancestor in ancestors[: jvm + 1])


def end_for_hung_call() -> None:
    """End this process at once, since nothing else takes a thread back; Flink starts another and restores."""
    _end("a call of the model hangs", _HUNG)


def end_for_lack_of_memory() -> None:
    """End this process at once, since nothing else gives back what a model leaked; Flink restores the job."""
    _end("the model finds no memory any more", _NO_MEMORY)


def _end(reason: str, exit_code: int) -> None:
    _log.error("%s: its worker ends (exit code %d), and Flink restores it", reason, exit_code)
    time.sleep(_LOGGED_S)
    os._exit(exit_code)
