"""Worker processes that share one task: started, listened to, restarted if one is killed, and ended in any case.

They are spawned. None outlives the process that started them, however that ends, and only that process handles
Ctrl-C. Each sends its messages through a pipe of its own, so a killed one leaves no lock behind.
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

_RESTARTS = 3
_GRACE_S = 1.0
"""Time to wait for a killed process once a failure is reported, as its partners' failures may come first."""
_RAISED = 71
"""Exit status of a process that has reported its exception."""
_log = logging.getLogger(__name__)

_OnMessage = Callable[[Any], None]


class WorkerError(RecloopError):
    """Work of several processes that could not be done.

    WorkerError
    ├── WorkerFailedError    a process raised: the message ends with its trace
    └── WorkerKilledError    a process was killed, more often than may be
    """


class WorkerFailedError(WorkerError):
    """An exception raised in a process; a restart would raise it again."""


class WorkerKilledError(WorkerError):
    """A process that ended without a message: by a signal, or for lack of memory."""


@dataclass(frozen=True, slots=True)
class Worker:
    """One of the processes, as its work sees it.

    Attributes:
        rank: its number, from 0.
        size: number of processes.
        attempt: how often all were restarted.
        tell: sends a message to the process that started it; a killed one's last messages may be lost.
    """

    rank: int
    size: int
    attempt: int
    tell: _OnMessage


_Work = Callable[[Worker], None]
"""The work of each process; it is pickled, and so is all that it holds."""


@dataclass(frozen=True, slots=True)
class _Raised:
    trace: str


def run_workers(work: _Work, processes: int, on_message: _OnMessage, *, restarts: int = _RESTARTS) -> None:
    """Run the work in several processes, and return when all have done it.

    Args:
        work: called in each process. If one is killed, the others are killed too and all are restarted, so it has to
            go on from what is done.
        processes: number of processes.
        on_message: called in this process with each of their messages.
        restarts: how often they are restarted at most.

    Raises:
        WorkerFailedError: one raised an exception.
        WorkerKilledError: one was killed, even after the last restart.
    """
    for attempt in range(restarts + 1):
        try:
            _run(work, processes, attempt, on_message)
        except WorkerKilledError as killed:
            if attempt == restarts:
                raise
            _log.warning("%s: begun again, %d of at most %d times", killed, attempt + 1, restarts)
        else:
            return


def _run(work: _Work, processes: int, attempt: int, on_message: _OnMessage) -> None:
    workers: dict[Connection, SpawnProcess] = {}
    context = multiprocessing.get_context("spawn")
    try:
        with _interrupts_blocked():
            for rank in range(processes):
                receiver, sender = context.Pipe(duplex=False)
                process = context.Process(
                    target=_enter,
                    args=(work, (rank, processes, attempt), sender, os.getpid()),
                    name=f"process {rank + 1}",
                    daemon=True,
                )
                process.start()
                sender.close()
                workers[receiver] = process
        _listen(workers, on_message)
    finally:
        for receiver, process in workers.items():
            process.kill()
            process.join()
            receiver.close()


def _listen(workers: dict[Connection, SpawnProcess], on_message: _OnMessage) -> None:
    """Pass on the processes' messages until all have done their work.

    Raises:
        WorkerFailedError: one raised an exception.
        WorkerKilledError: one was killed.
    """
    talking = set(workers)
    while talking:
        ready = wait(talking)
        for receiver in [each for each in talking if each in ready]:
            try:
                message = receiver.recv()
            except (EOFError, OSError):  # OSError where it was killed in the middle of a message
                talking.discard(receiver)
                workers[receiver].join()
                _check_ends(workers.values())
                continue
            if isinstance(message, _Raised):
                for process in workers.values():  # a partner's failure may be reported before a killed one has ended
                    process.join(_GRACE_S / len(workers))
                _check_ends(workers.values())
                msg = f"one of {len(workers)} processes failed:\n{message.trace}"
                raise WorkerFailedError(msg)
            on_message(message)


def _check_ends(processes: Collection[SpawnProcess]) -> None:
    for process in processes:
        if (code := process.exitcode) is not None and code not in {0, _RAISED}:
            end = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
            msg = f"{process.name} of {len(processes)} {end}"
            raise WorkerKilledError(msg)


def _enter(work: _Work, place: tuple[int, int, int], sender: Connection, parent: int) -> None:
    """Run the work in a started process, and report its exception."""
    end_with([parent])
    if os.getppid() != parent:  # the parent is gone already, and another process may have its id
        os._exit(ORPHANED)
    try:
        work(Worker(*place, sender.send))
    except Exception:
        sender.send(_Raised(traceback.format_exc()))
        sys.exit(_RAISED)


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Block Ctrl-C: processes started meanwhile never get it, and this one gets it afterwards."""
    ensure_running()  # started later, it would let interrupts through to the processes started next
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
