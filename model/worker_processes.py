"""Processes that share one piece of work: started, heard, begun again when one is killed, and ended in any case.

They are spawned. None outlives the process that started them, whatever ends it, and Ctrl-C is that one's business
alone. They say what they have to say through a pipe of their own each, so a killed one leaves no lock behind.
"""

import logging
import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from multiprocessing.resource_tracker import ensure_running
from typing import Any

from model.errors import RecloopError
from model.parent_watch import ORPHANED, end_with

RESTARTS = 3
_GRACE_S = 1.0
"""A process whose partner was killed may be heard to fail before the killed one is found: so long is looked for it."""
_RAISED = 71
"""Exit status of a process that could say what is wrong."""
_log = logging.getLogger(__name__)

Hear = Callable[[Any], None]


class WorkerError(RecloopError):
    """Work that several processes share could not be done.

    WorkerError
    ├── WorkerFailedError    a process raised: the message ends with its trace
    └── WorkerKilledError    a process was killed, more often than is put up with
    """


class WorkerFailedError(WorkerError):
    """A process raised an exception: beginning again would raise it again."""


class WorkerKilledError(WorkerError):
    """A process ended without a word: by a signal, or for want of memory."""


@dataclass(frozen=True, slots=True)
class Worker:
    """One of the processes.

    Attributes:
        rank: its number, from 0.
        size: how many there are.
        attempt: how often all were begun again.
        tell: what it tells, the process that started it hears; a killed one's last words may be lost.
    """

    rank: int
    size: int
    attempt: int
    tell: Hear


Work = Callable[[Worker], None]
"""What each process does; it is pickled, and so is all that it holds."""


@dataclass(frozen=True, slots=True)
class _Raised:
    trace: str


def run_workers(work: Work, processes: int, hear: Hear, *, restarts: int = RESTARTS) -> None:
    """Has processes do the work, and returns when all have done it.

    Args:
        work: called in each of them. If one is killed, the others are too and all are begun again, so it has to go
            on from what is done.
        processes: how many.
        hear: told in this process what they tell.
        restarts: how often they are begun again at most.

    Raises:
        WorkerFailedError: one raised an exception.
        WorkerKilledError: one was killed, after so many times before.
    """
    for attempt in range(restarts + 1):
        try:
            _run(work, processes, attempt, hear)
        except WorkerKilledError as killed:
            if attempt == restarts:
                raise
            _log.warning("%s: begun again, %d of at most %d times", killed, attempt + 1, restarts)
        else:
            return


def _run(work: Work, processes: int, attempt: int, hear: Hear) -> None:
    workers: dict[Connection, SpawnProcess] = {}
    try:
        with _interrupts_held_back():
            for rank in range(processes):
                receiver, process = _start(work, rank, processes, attempt)
                workers[receiver] = process
        _listen(workers, hear)
    finally:
        for receiver, process in workers.items():
            process.kill()
            process.join()
            receiver.close()


def _start(work: Work, rank: int, size: int, attempt: int) -> tuple[Connection, SpawnProcess]:
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    arguments = (work, (rank, size, attempt), sender, os.getpid())
    process = context.Process(target=_enter, args=arguments, name=f"process {rank + 1}", daemon=True)
    process.start()
    sender.close()
    return receiver, process


def _listen(workers: dict[Connection, SpawnProcess], hear: Hear) -> None:
    """Hears the processes until all have done their work.

    Raises:
        WorkerFailedError: one raised an exception.
        WorkerKilledError: one was killed.
    """
    talking = set(workers)
    while talking:
        ready = wait(talking)
        for receiver in [each for each in talking if each in ready]:
            try:
                said = receiver.recv()
            except (EOFError, OSError):  # the second where it was killed in mid-sentence
                talking.discard(receiver)
                workers[receiver].join()
                _check_ends(workers.values())
                continue
            if isinstance(said, _Raised):
                _await_ends(workers.values())
                _check_ends(workers.values())
                msg = f"one of {len(workers)} processes failed:\n{said.trace}"
                raise WorkerFailedError(msg)
            hear(said)


def _await_ends(processes: Collection[SpawnProcess]) -> None:
    """Gives a killed process the time to be seen as one: its partners may fail, and be heard, before that."""
    for process in processes:
        process.join(_GRACE_S / len(processes))


def _check_ends(processes: Collection[SpawnProcess]) -> None:
    for process in processes:
        if (code := process.exitcode) is not None and code not in {0, _RAISED}:
            how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
            msg = f"{process.name} of {len(processes)} {how}"
            raise WorkerKilledError(msg)


def _enter(work: Work, place: tuple[int, int, int], sender: Connection, parent: int) -> None:
    """What a process runs."""
    _end_with(parent)
    try:
        work(Worker(*place, sender.send))
    except Exception:
        sender.send(_Raised(traceback.format_exc()))
        sys.exit(_RAISED)


def _end_with(parent: int) -> None:
    """Has this process end at once when the one that started it does, whatever it is waiting for."""
    end_with([parent])
    if os.getppid() != parent:  # its number has been given again
        os._exit(ORPHANED)


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """What is started meanwhile never hears Ctrl-C; this process hears it afterwards."""
    ensure_running()  # started later, it would let interrupts through for what is started next
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
