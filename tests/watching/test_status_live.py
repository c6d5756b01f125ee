"""`recloop status --watch`: a line every two seconds where the output is no terminal, a table in one; until Ctrl-C."""

import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from job.cluster import RunningCluster
from job.deployment.shipping import PROJECT
from job.replay.log_writer import LogWriter
from model.records import UserBehavior
from model.waiting import polls
from tests.job.fixtures import Deploy

pytestmark = [pytest.mark.cluster, pytest.mark.slow]


@contextmanager
def watching(cluster: RunningCluster, out: int) -> Iterator[subprocess.Popen[bytes]]:
    words = [sys.executable, "-m", "job.cli", "status", "--watch", "--dir", str(cluster.directory)]
    process = subprocess.Popen(words, cwd=PROJECT, stdout=out, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def read_until(out: int, wanted: bytes, log: LogWriter) -> bytes:
    """What was written until it holds the wanted bytes, while behaviours come."""
    seen = b""
    for number, _ in enumerate(polls(timeout_s=90, poll_s=0.2)):
        log.append([UserBehavior("u", "click", str(number % 50 + 1), int(time.time() * 1000))])
        while select.select([out], [], [], 0)[0]:
            seen += os.read(out, 65_536)
        if wanted in seen:
            return seen
    pytest.fail(f"{wanted!r} did not come: {seen!r}")


def interrupted(process: subprocess.Popen[bytes]) -> tuple[int, bytes]:
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    return process.returncode, errors


def test_it_goes_on_until_ctrl_c(run_job: Deploy, tmp_path: Path) -> None:
    run = run_job(tmp_path / "log")
    with LogWriter(tmp_path / "log") as log:
        read, write = os.pipe()
        with watching(run.cluster, write) as process:
            seen = read_until(read, b" ms, p95 ", log).decode()
            assert "RUNNING" in seen
            assert "\x1b" not in seen
            assert interrupted(process) == (130, b"Stopped.\n")
        master, slave = pty.openpty()
        with watching(run.cluster, slave) as process:
            seen = read_until(master, b" ms, p95 ", log).decode()
            assert "behind the log" in seen
            code, errors = interrupted(process)
            assert (code, b"Traceback" in errors) == (130, False)
    for number in (read, write, master, slave):
        os.close(number)
