"""Processes that share work are heard, begun again when killed, and gone in the end: with real ones."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil
import pytest

from job.deployment.shipping import PROJECT
from model.worker_processes import Worker, WorkerFailedError, WorkerKilledError, run_workers


@dataclass(frozen=True)
class Act:
    """What the second of two processes does in its first attempts; all else tells its place."""

    kind: str = "nothing"
    times: int = 1

    def __call__(self, worker: Worker) -> None:
        worker.tell((worker.rank, worker.size, worker.attempt))
        if worker.rank == 1 and worker.attempt < self.times:
            _ACTS[self.kind]()
        elif worker.attempt < self.times and self.kind != "nothing":
            time.sleep(60)  # held up by the other one


def _raise() -> None:
    msg = "no such thing"
    raise LookupError(msg)


_ACTS: dict[str, Callable[[], None]] = {
    "nothing": lambda: None,
    "raise": _raise,
    "killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "gives up": lambda: os._exit(3),
    "waits": lambda: time.sleep(60),
}


def heard_of(act: Act, restarts: int = 3) -> list[tuple[int, int, int]]:
    heard: list[tuple[int, int, int]] = []
    before = set(psutil.Process().children())  # other tests' too, as a JVM
    run_workers(act, 2, heard.append, restarts=restarts)
    assert set(psutil.Process().children()) - before <= {tracker()}
    return heard


def tracker() -> psutil.Process:
    """The one process that multiprocessing keeps for itself."""
    return next(each for each in psutil.Process().children() if "resource_tracker" in " ".join(each.cmdline()))


def test_each_process_knows_its_place_and_is_heard() -> None:
    assert sorted(heard_of(Act())) == [(0, 2, 0), (1, 2, 0)]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["killed", "gives up"])
def test_all_are_begun_again_when_one_is_killed(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    assert sorted(heard_of(Act(kind)))[-2:] == [(1, 2, 0), (1, 2, 1)]
    assert "process 2 of 2" in caplog.text
    assert "1 of at most 3 times" in caplog.text


@pytest.mark.slow
def test_what_is_killed_again_and_again_is_given_up() -> None:
    with pytest.raises(WorkerKilledError, match="process 2 of 2 was killed by SIGKILL"):
        heard_of(Act("killed", times=9), restarts=1)


@pytest.mark.slow
def test_what_raises_is_not_begun_again() -> None:
    with pytest.raises(WorkerFailedError, match=r"(?s)_raise.*LookupError: no such thing"):
        heard_of(Act("raise", times=9))


SCRIPT = """
from model.worker_processes import run_workers
from tests.processes.test_worker_processes import Act
run_workers(Act("waits"), 2, lambda place: print(place, flush=True))
"""


@pytest.mark.slow
@pytest.mark.parametrize("signal_sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda s: s.name)
def test_no_process_outlives_the_one_that_started_it(signal_sent: signal.Signals) -> None:
    command = [sys.executable, "-c", SCRIPT]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True, cwd=PROJECT
    ) as parent:
        assert parent.stdout is not None
        assert parent.stderr is not None
        assert {parent.stdout.readline() for _ in range(2)} == {b"(0, 2, 0)\n", b"(1, 2, 0)\n"}
        children = psutil.Process(parent.pid).children()
        assert len(children) == 3
        to_all = signal_sent is signal.SIGINT  # as the terminal sends it
        os.killpg(parent.pid, signal_sent) if to_all else parent.send_signal(signal_sent)
        assert psutil.wait_procs(children, timeout=20)[1] == []
        assert parent.stderr.read().count(b"Traceback") == to_all  # the parent's own, and no other's
