"""A process ends with any of those it watches, also with one that was gone before."""

import subprocess
import sys

import pytest

from job.deployment.shipping import PROJECT
from model.parent_watch import ORPHANED

_WAITS = [sys.executable, "-c", "import time; time.sleep(60)"]
_WATCHES = """
import sys, time
from model.parent_watch import end_with
end_with(map(int, sys.argv[1:]))
print("watches", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("first", [0, 1])
def test_a_process_ends_with_the_first_of_those_it_watches(first: int) -> None:
    others = [subprocess.Popen(_WAITS) for _ in range(2)]
    try:
        with watching(*(each.pid for each in others)) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "watches\n"
            assert process.poll() is None
            others[first].kill()
            assert process.wait(10) == ORPHANED
    finally:
        for each in others:
            each.kill()
            each.wait()


def test_a_process_ends_at_once_if_one_of_them_is_gone_already() -> None:
    gone = subprocess.Popen(_WAITS)
    gone.kill()
    gone.wait()
    with watching(gone.pid) as process:
        assert process.wait(10) == ORPHANED


def watching(*processes: int) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", _WATCHES, *map(str, processes)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=PROJECT)
