"""What a bench runs on."""

import os
import subprocess
import sys

from job.bench.run import on_cores

_COUNT = "import os; print(len(os.sched_getaffinity(0)))"


def test_what_is_started_meanwhile_has_so_many_cores_and_all_are_there_again_afterwards() -> None:
    before = os.sched_getaffinity(0)
    with on_cores(1):
        counted = subprocess.run([sys.executable, "-c", _COUNT], capture_output=True, text=True, check=True).stdout
    assert int(counted) == 1
    assert os.sched_getaffinity(0) == before
