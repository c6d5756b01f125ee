"""The start of a Python worker as a fork: `python -I -S worker_start.py FOLDER PYTHON OTHERWISE ARGUMENT...`.

FOLDER is that of the server (`job.cluster.worker_forks`), PYTHON the one that its forks run. Where the job names
another one, libraries are preloaded, or the server does not answer at once, Flink's own script OTHERWISE starts the
worker. This process lives as long as the worker, as Flink ends it to end the worker.

It imports only the standard library and is run by its path, so it starts in a few hundredths of a second.
"""

import json
import os
import socket
import sys
from pathlib import Path

SOCKET = "socket"
TAKEN, GO_ON = b"+", b"!"
_ANSWER_S = 2.0


def main(folder: str, python: str, otherwise: str, *arguments: str) -> None:
    """Ask for a fork and wait for its end; become Flink's own script if there is none."""
    working_folder = os.environ.get("_PYTHON_WORKING_DIR") or str(Path.cwd())
    request = {
        "environment": dict(os.environ),
        "folder": working_folder,
        "arguments": arguments,
        "parent": os.getppid(),
    }
    # A fork has the libraries that its server was started with. (The name of the variable is Flink's.)
    is_like_server = os.environ.get("python", python) == python and "LD_PRELOAD" not in os.environ  # noqa: SIM112
    with socket.socket(socket.AF_UNIX) as connection:
        if is_like_server and _is_taken(connection, folder, json.dumps(request).encode() + b"\n"):
            connection.settimeout(None)
            connection.recv(1)  # nothing comes until the worker ends
            return
    os.execv(otherwise, [otherwise, *arguments])


def _is_taken(connection: socket.socket, folder: str, request: bytes) -> bool:
    """Return whether a fork of the server has become the worker."""
    connection.settimeout(_ANSWER_S)
    here = Path.cwd()
    try:
        os.chdir(folder)  # the whole path may be longer than the address of a socket
        connection.connect(SOCKET)
        connection.sendall(request)
        if connection.recv(1) != TAKEN:
            return False
        connection.sendall(GO_ON)
    except OSError:
        return False
    finally:
        os.chdir(here)
    return True


if __name__ == "__main__":
    main(*sys.argv[1:])
