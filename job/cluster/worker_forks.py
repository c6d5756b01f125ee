"""The server that a cluster's Python workers are forked from: `python -m job.cluster.worker_forks`, in its own folder.

A worker of Flink's imports Beam, PyFlink and torch for seconds, at every restart of a job. This process imported them
once; a fork of it has them at once, and shares their memory. A job's code is shipped under a package name of its own,
so that every worker has the code that its job was deployed with.
"""

import gc
import json
import os
import runpy
import signal
import socket
import struct
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from job.cluster.worker_start import GO_ON, SOCKET, TAKEN
from model.parent_watch import end_with

_WORKER = "pyflink.fn_execution.beam.beam_boot"
_LOG = "flink-python-udf-boot.log"
_IMPORTED = (
    "pyflink.fn_execution.beam.beam_sdk_worker_main",
    "pyflink.datastream",
    "torch",
    "msgspec",
    "numpy",
    "psutil",
)
_HANDSHAKE_S = 10.0
_CREDENTIALS = struct.Struct("3i")
_BACKLOG = 64
_NAMESPACES = ("mnt", "net", "pid")


def main() -> None:
    """Import what workers need, and fork one for each request; a fork returns when its worker ended."""
    for name in _IMPORTED:
        with suppress(ImportError, OSError):  # the worker will say so, or do without
            import_module(name)
    gc.collect()
    gc.freeze()  # else the collector of each worker would write to the pages that they share
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # forks are reaped by the kernel
    with socket.socket(socket.AF_UNIX) as server:
        _listen(server)
        while True:
            connection, _ = server.accept()
            with connection:
                if _forked():
                    server.close()
                    _work(connection)
                    return


def _listen(server: socket.socket) -> None:
    """Listen at the socket of this folder, which only this user can connect to."""
    Path(SOCKET).unlink(missing_ok=True)
    before = os.umask(0o177)
    server.bind(SOCKET)
    os.umask(before)
    server.listen(_BACKLOG)


def _forked() -> bool:
    """Return whether this is a new process; without one the request is closed, and started otherwise."""
    try:
        return os.fork() == 0
    except OSError:
        return False


def _work(connection: socket.socket) -> None:
    """Become the worker that was asked for."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    pid, user, _ = _CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    try:
        if user != os.geteuid() or _namespaces(pid) != _namespaces(os.getpid()):
            return
        request = _agreed(connection)
        # In the group of its TaskManager, it is ended with it.
        os.setpgid(0, os.getpgid(pid))
    except (OSError, ValueError):  # the one who asked has gone, or waits no longer
        return
    end_with((pid, request["parent"]))
    _become(request["environment"], request["folder"], request["arguments"])
    runpy.run_module(_WORKER, run_name="__main__", alter_sys=True)


def _namespaces(pid: int) -> list[str]:
    """Return what decides which files and addresses a process sees: a fork sees those of this process."""
    return [os.readlink(f"/proc/{pid}/ns/{name}") for name in _NAMESPACES]  # noqa: PTH115 - it points nowhere


def _agreed(connection: socket.socket) -> Any:
    """Return the request once the one who asked leaves the worker to this process.

    Raises:
        OSError: they do not, or not in time.
        ValueError: what was sent is no request.
    """
    connection.settimeout(_HANDSHAKE_S)
    with connection.makefile("rb") as lines:
        request = json.loads(lines.readline())
        connection.sendall(TAKEN)
        if lines.read(1) != GO_ON:
            msg = "the worker is started otherwise"
            raise ConnectionAbortedError(msg)
    return request


def _become(environment: dict[str, str], folder: str, arguments: list[str]) -> None:
    """Take over variables, working folder, arguments and output of the process that was asked for."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = [_WORKER, *arguments]
    paths = [path for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.path[:1] = [folder, *paths]  # as `python -m` has it
    log = os.open(Path(environment["BOOT_LOG_DIR"]) / _LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    for number in (1, 2):
        os.dup2(log, number)
    os.close(log)


if __name__ == "__main__":
    main()
