"""Submitting by Flink's command line: the cluster to submit to, the call, and the reason where Flink takes no job."""

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from job.cluster import RunningCluster
from job.cluster.java import find_java
from job.cluster.layout import flink_home
from model.errors import RecloopError

_SUBMITTED = re.compile(r"JobID ([0-9a-f]{32})")
_SUBMIT_TIMEOUT_S = 300.0


class DeployError(RecloopError):
    """The job was not deployed; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Target:
    """A cluster to deploy to.

    Attributes:
        rest_url: its REST interface.
        environment: the variables `flink run` needs.
        folder: where deployments are written down.
        checkpoints: the folder of retained checkpoints, where this machine sees it.
    """

    rest_url: str
    environment: dict[str, str]
    folder: Path
    checkpoints: Path | None

    @classmethod
    def local(cls, cluster: RunningCluster) -> "Target":
        """A cluster started by `recloop cluster start`."""
        folder = cluster.directory / "deployments"
        return cls(cluster.rest_url, cluster.environment(), folder, cluster.layout.checkpoints)

    @classmethod
    def remote(cls, rest_url: str, folder: Path, checkpoints: Path | None = None) -> "Target":
        """Any other cluster; the same Python environment has to be on its TaskManagers."""
        home, java = flink_home(), find_java(os.environ)
        path = f"{java.home / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        variables = {"FLINK_HOME": str(home), "JAVA_HOME": str(java.home), "PATH": path}
        conf = {"FLINK_CONF_DIR": os.environ.get("FLINK_CONF_DIR", str(home / "conf"))}
        return cls(rest_url, {**os.environ, **variables, **conf}, folder, checkpoints)


def submit(target: Target, arguments: list[str], *, keep_open: tuple[int, ...] = ()) -> str:
    """Runs `flink run`; its output says the job's id, or why there is none.

    Args:
        target: the cluster.
        arguments: what follows the JobManager's address.
        keep_open: descriptors that Flink's client holds as well, so that a lock is kept until it is done.

    Raises:
        DeployError: Flink did not take the job, or did not answer.
    """
    flink = Path(target.environment["FLINK_HOME"]) / "bin" / "flink"
    command = [str(flink), "run", "--detached", "--jobmanager", urlsplit(target.rest_url).netloc, *arguments]
    try:
        done = subprocess.run(
            command,
            env=target.environment,
            capture_output=True,
            text=True,
            timeout=_SUBMIT_TIMEOUT_S,
            check=False,
            pass_fds=keep_open,
        )
    except subprocess.TimeoutExpired as error:
        msg = f"Flink's command line was not done in {_SUBMIT_TIMEOUT_S:g} s: is {target.rest_url} healthy?"
        raise DeployError(msg) from error
    if submitted := _SUBMITTED.search(done.stdout):
        return submitted.group(1)
    output = f"{done.stdout}\n{done.stderr}"
    log = target.folder / "last-refusal.log"
    log.write_text(output)
    msg = f"Flink did not take the job: {last_cause(output)}\nAll it said is in {log}"
    raise DeployError(msg)


def last_cause(output: str) -> str:
    """The line that says most: Python's own error, else the innermost cause, else the last line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"[\w.]+(Error|Exception)\b", line)]
    causes = [line for line in lines if line.startswith("Caused by:")]
    return (causes or errors or lines or ["it said nothing"])[-1]
