"""The Python environment of Quix Streams: made once, from pinned hashes, beside the project's own."""

import subprocess
from pathlib import Path

from job.bench.errors import BenchError
from job.cluster.running import Progress
from job.deployment.shipping import PROJECT

_PYTHON = PROJECT / ".venv-stream-peers" / "bin" / "python"
_MAKE_S = 900.0


def peers_python(report: Progress) -> Path:
    """Return the interpreter; `make stream-peers` makes or repairs its environment.

    Raises:
        BenchError: the environment could not be made.
    """
    report("making the peers' environment")
    try:
        done = subprocess.run(
            ["make", "--quiet", "stream-peers"],
            cwd=PROJECT,
            capture_output=True,
            text=True,
            timeout=_MAKE_S,
            check=False,
        )
    except (FileNotFoundError, subprocess.TimeoutExpired) as error:
        msg = f"the peers' environment was not made ({error}): run `make stream-peers` in {PROJECT}"
        raise BenchError(msg) from error
    if done.returncode:
        answer = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        msg = f"`make stream-peers` failed in {PROJECT}: {answer}"
        raise BenchError(msg)
    return _PYTHON
