"""Python workers are forks of a server; without one, Flink's own script starts them."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from job.cluster.layout import PYTHON_WORKERS, Layout
from job.cluster.python_workers import server_command, write_runner
from model.waiting import wait_until

pytestmark = pytest.mark.heavy

_LONG_S = 60.0


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """A state folder, with a path that is too long for the address of a socket."""
    layout = Layout(tmp_path_factory.mktemp("a folder" * 12))
    for folder in (layout.conf, layout.scratch(PYTHON_WORKERS), layout.root / "home" / "bin"):
        folder.mkdir(parents=True)
    own = layout.root / "home" / "bin" / "pyflink-udf-runner.sh"
    own.write_text(f'#!/bin/sh\necho "$@" > "{layout.root}/otherwise"\n')
    own.chmod(0o755)
    write_runner(layout, layout.root / "home")
    return layout


@pytest.fixture(scope="module")
def server(layout: Layout) -> Iterator[psutil.Process]:
    folder = layout.scratch(PYTHON_WORKERS)
    with subprocess.Popen(server_command(), cwd=folder) as process:
        try:
            assert wait_until((folder / "socket").is_socket, timeout_s=_LONG_S, poll_s=0.05)
            yield psutil.Process(process.pid)
        finally:
            process.kill()


def start(layout: Layout, log: Path, *arguments: str, **variables: str) -> subprocess.Popen[bytes]:
    log.mkdir()
    environ = {**os.environ, "BOOT_LOG_DIR": str(log), "python": sys.executable, **variables}
    return subprocess.Popen([layout.conf / "pyflink-udf-runner.sh", *arguments], env=environ, process_group=0)


def hanging(layout: Layout, tmp_path: Path, server: psutil.Process) -> tuple[subprocess.Popen[bytes], psutil.Process]:
    """A worker that waits for an answer that never comes, and the process that was started for it."""
    silent = socket.create_server(("127.0.0.1", 0))
    endpoint = f"127.0.0.1:{silent.getsockname()[1]}"
    starter = start(layout, tmp_path / "log", "--id=1-1", f"--provision_endpoint={endpoint}")
    silent.settimeout(_LONG_S)
    silent.accept()
    (fork,) = server.children()
    return starter, fork


def test_a_worker_is_a_fork_that_logs_where_flink_reads(layout: Layout, server: psutil.Process, tmp_path: Path) -> None:
    starter = start(layout, tmp_path / "log")
    starter.wait(_LONG_S)
    assert "No id provided." in (tmp_path / "log" / "flink-python-udf-boot.log").read_text()
    assert not (layout.root / "otherwise").exists()
    assert wait_until(lambda: not server.children(), timeout_s=_LONG_S, poll_s=0.05)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_worker_is_in_the_group_of_its_starter_and_ends_with_it(
    layout: Layout, server: psutil.Process, tmp_path: Path, number: int
) -> None:
    starter, fork = hanging(layout, tmp_path, server)
    assert os.getpgid(fork.pid) == starter.pid
    starter.send_signal(number)
    fork.wait(_LONG_S)
    starter.wait(_LONG_S)


def test_the_starter_ends_with_its_worker(layout: Layout, server: psutil.Process, tmp_path: Path) -> None:
    starter, fork = hanging(layout, tmp_path, server)
    fork.kill()
    assert starter.wait(_LONG_S) == 0


def test_nobody_else_may_ask_for_a_worker(layout: Layout, server: psutil.Process) -> None:
    assert (layout.scratch(PYTHON_WORKERS) / "socket").stat().st_mode & 0o777 == 0o600


def test_a_starter_that_gave_up_gets_no_worker(layout: Layout, server: psutil.Process) -> None:
    for request in (b"", b"no request\n", b'{"parent": 1}\n'):
        with socket.socket(socket.AF_UNIX) as connection:
            here = Path.cwd()
            os.chdir(layout.scratch(PYTHON_WORKERS))
            connection.connect("socket")
            os.chdir(here)
            connection.sendall(request)
    assert wait_until(lambda: not server.children(), timeout_s=_LONG_S, poll_s=0.05)


def test_a_starter_in_another_network_or_with_other_libraries_gets_no_fork(
    layout: Layout, server: psutil.Process, tmp_path: Path
) -> None:
    start(layout, tmp_path / "log", "--id=8", LD_PRELOAD="").wait(_LONG_S)
    assert (layout.root / "otherwise").read_text() == "--id=8\n"
    (layout.root / "otherwise").unlink()
    apart = ["unshare", "--map-root-user", "--net"]
    if subprocess.run([*apart, "true"], check=False, capture_output=True).returncode:
        return  # the kernel lets nobody make namespaces here
    environ = {**os.environ, "BOOT_LOG_DIR": str(tmp_path / "log"), "python": sys.executable}
    subprocess.run([*apart, layout.conf / "pyflink-udf-runner.sh", "--id=9"], env=environ, check=True)
    assert (layout.root / "otherwise").read_text() == "--id=9\n"
    (layout.root / "otherwise").unlink()


@pytest.mark.parametrize("python", [sys.executable, "/usr/bin/another-python"])
def test_flinks_own_script_starts_workers_without_a_server_and_those_of_another_python(
    tmp_path: Path, layout: Layout, server: psutil.Process, python: str
) -> None:
    alone = Layout(tmp_path / "alone") if python == sys.executable else layout
    alone.conf.mkdir(parents=True, exist_ok=True)
    if alone is not layout:
        shutil.copytree(layout.root / "home", alone.root / "home")
        write_runner(alone, alone.root / "home")
    start(alone, tmp_path / "log", "--id=7", python=python).wait(_LONG_S)
    assert (layout.root / "otherwise").read_text() == "--id=7\n"
    (layout.root / "otherwise").unlink()
