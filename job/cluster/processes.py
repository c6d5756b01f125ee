"""The processes of a cluster: those its supervisor reports, and all others that carry the cluster's mark.

Every process of a cluster inherits an environment variable with the path of its state folder, so leftovers are found
even when the supervisor and its records are gone.
"""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import psutil

from job.cluster import supervisor
from job.cluster.errors import ClusterError
from job.cluster.jvm import MARK
from job.cluster.layout import Layout
from job.cluster.state_files import read_state_file
from model.file_lock import try_lock
from model.waiting import polls, wait_until

_GONE_S = 5.0
_STOP_S = 15.0
_EXCLUSIVE_S = 60.0
_POLL_S = 0.02


@dataclass(frozen=True)
class Supervised:
    """A process as its supervisor knows it.

    Attributes:
        name: jobmanager or taskmanager-N.
        pid: the JVM's process id, which is its group's too; None while it is down.
        incarnation: how many times it was started.
        exit_status: the status of the process before; below zero for a signal; None if none has died.
    """

    name: str
    pid: int | None
    incarnation: int
    exit_status: int | None


@dataclass(frozen=True)
class SupervisorState:
    """The report of a living supervisor: its process id and its members."""

    pid: int
    members: tuple[Supervised, ...]

    def member(self, name: str) -> Supervised | None:
        """Return the member of this name, or None."""
        return next((each for each in self.members if each.name == name), None)


def read_state(layout: Layout) -> SupervisorState | None:
    """Return the report of the folder's supervisor; None if no supervisor lives, or it has not reported yet.

    Raises:
        ClusterError: state.json is damaged.
    """
    if not supervisor_lives(layout):
        return None
    try:
        return read_state_file(layout.state, SupervisorState)
    except FileNotFoundError:
        return None


def supervisor_lives(layout: Layout) -> bool:
    """Return whether a supervisor locks the folder; a lock needs no process ids, which can be reused."""
    if not layout.lock.exists():
        return False
    with layout.lock.open() as lock:
        return not try_lock(lock, shared=True)


def start_supervisor(layout: Layout, environ: Mapping[str, str]) -> None:
    """Start a supervisor for the folder's plan in a session of its own, and return when it has detached.

    Raises:
        subprocess.CalledProcessError: if it could not start.
    """
    layout.state.unlink(missing_ok=True)
    with layout.log("supervisor").open("ab") as log:
        subprocess.run(
            [sys.executable, "-I", supervisor.__file__, str(layout.root)],
            env={**os.environ, **environ, MARK: str(layout.root)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=layout.root,
            check=True,
        )


def _stop_supervisor(layout: Layout) -> None:
    """Ask the supervisor to end everything and wait for it; the sweep that follows ends what it did not."""
    try:
        state = read_state(layout)
    except ClusterError:
        return
    if state is None:
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(state.pid, signal.SIGTERM)
    wait_until(lambda: not supervisor_lives(layout), timeout_s=_STOP_S, poll_s=_POLL_S)


def marked(layout: Layout) -> list[psutil.Process]:
    """Return all living processes of the cluster in this folder."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            if process.environ().get(MARK) == str(layout.root) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def sweep(layout: Layout) -> int:
    """End every process of this cluster with SIGKILL, also those that start meanwhile.

    Returns:
        The number of processes ended.
    """
    ended: set[psutil.Process] = set()
    for _ in polls(timeout_s=_GONE_S, poll_s=_POLL_S):
        if not (left := marked(layout)):
            break
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        ended.update(left)
    return len(ended)


def end_all(layout: Layout) -> int:
    """End every process of the cluster in this folder, in order if its supervisor lives.

    Returns:
        The number of processes.
    """
    count = len(marked(layout))
    _stop_supervisor(layout)
    sweep(layout)
    layout.state.unlink(missing_ok=True)
    return count


@contextlib.contextmanager
def exclusive(layout: Layout) -> Iterator[None]:
    """Hold a folder's lock, so that one start or stop at a time works on it.

    Raises:
        ClusterError: if another one takes too long.
    """
    with layout.start_lock.open("w") as lock:
        if not wait_until(lambda: try_lock(lock), timeout_s=_EXCLUSIVE_S, poll_s=_POLL_S):
            msg = f"another start or stop has been at work in {layout.root} for {_EXCLUSIVE_S:.0f} s"
            raise ClusterError(msg)
        yield
