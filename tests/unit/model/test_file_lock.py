"""Locks between processes: one holder alone, or several that share it, and none once a holder has ended."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from job.deployment.shipping import PROJECT
from model.file_lock import locked, try_lock

_HOLD = """
import sys, time
from pathlib import Path
from model import file_lock
with getattr(file_lock, sys.argv[1])(Path(sys.argv[2])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize(("how", "place"), [("locked", "deep/lock"), ("locked_folder", ".")])
def test_a_lock_is_free_again_when_its_holder_is_killed(tmp_path: Path, how: str, place: str) -> None:
    path = tmp_path / place
    command = [sys.executable, "-c", _HOLD, how, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=PROJECT) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert not takes(path)
        assert not takes(path, shared=True)
        holder.send_signal(signal.SIGKILL)
    assert takes(path)


def test_those_who_share_a_lock_keep_a_sole_holder_out(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with path.open("w") as one:
        assert try_lock(one, shared=True)
        assert takes(path, shared=True)
        assert not takes(path)
    assert takes(path)


def test_a_block_that_raises_frees_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"

    def hold() -> None:
        with locked(path):
            assert not takes(path)
            raise LookupError

    with pytest.raises(LookupError):
        hold()
    assert takes(path)


def takes(path: Path, *, shared: bool = False) -> bool:
    """The lock is free, and free again afterwards."""
    handle = os.open(path, os.O_RDONLY)
    try:
        return try_lock(handle, shared=shared)
    finally:
        os.close(handle)
