"""The fast start of Python workers on a local cluster: a server that forks them, and a script in place of Flink's.

Flink starts a worker by the script `pyflink-udf-runner.sh`, in the folder that `RUNNER_FOLDER` names.
"""

import shlex
import sys
from pathlib import Path

from job.cluster import worker_start
from job.cluster.layout import PYTHON_WORKERS, Layout

RUNNER_FOLDER = "PYFLINK_UDF_RUNNER_DIR"
_RUNNER = "pyflink-udf-runner.sh"
_SERVER = "job.cluster.worker_forks"


def server_command() -> list[str]:
    """Return the command of the server; it works in its scratch folder."""
    return [sys.executable, "-m", _SERVER]


def write_runner(layout: Layout, home: Path) -> None:
    """Write the script; where the server does not answer, it goes on as the one in Flink's home."""
    own = (sys.executable, "-I", "-S", worker_start.__file__)
    given = (layout.scratch(PYTHON_WORKERS), sys.executable, home / "bin" / _RUNNER)
    command = shlex.join(map(str, (*own, *given)))
    script = layout.conf / _RUNNER
    script.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    script.chmod(0o755)
