"""An application cluster: its JobManager runs the script of one job itself, and the cluster ends with that job.

The JobManager is the one that Flink's standalone-job.sh starts, without a jar: Flink's PythonDriver runs the script.
Its exit status says why it ended. With high availability one that was killed finds its job in ZooKeeper. Without, it
would begin again at the state that the job was deployed with, so it is started through this module:
`python -m job.cluster.application CHECKPOINTS JOB_ID COMMAND...` puts the job's newest checkpoint in its place.
"""

import os
import sys
from collections.abc import Sequence
from enum import IntEnum
from pathlib import Path
from typing import NoReturn

from msgspec import Struct

from job.cluster.causes import cause
from job.cluster.checkpoint_files import newest_checkpoint
from job.cluster.layout import Layout
from job.cluster.state_files import read_state_file
from job.cluster.uris import file_uri


class Final(IntEnum):
    """The exit statuses of Flink's ApplicationStatus, as a parent sees them: its numbers 1443 and 1445 exceed a byte.

    After any other one the JobManager is started again.
    """

    OVER = 0
    FAILED = 1443 % 256
    UNKNOWN = 1445 % 256


_MEANINGS = {
    Final.OVER: "the job was ended (its JobManager exited with 0)",
    Final.FAILED: "the job failed for good, or its script did (the JobManager exited with 1443)",
    Final.UNKNOWN: "the job ended, and Flink does not know how (the JobManager exited with 1445)",
}
_DRIVER = "org.apache.flink.client.python.PythonDriver"
_STATE = "--fromSavepoint"
_READ = 2**18
"""The bytes of a log's end in which the reason for an end is looked for."""


class Application(Struct, frozen=True):
    """The job of an application cluster.

    Attributes:
        job_id: Flink's id, chosen beforehand.
        files: the zip with its code.
        entry: the script.
        arguments: the words after the script.
        state: URI of the state to go on from; None begins with empty state.
    """

    job_id: str
    files: str
    entry: str
    arguments: tuple[str, ...] = ()
    state: str | None = None

    @property
    def cluster_id(self) -> str:
        """The place of its own in ZooKeeper, so that a job never finds what another one left there."""
        return f"/{self.job_id}"

    @property
    def words(self) -> list[str]:
        """The words after those of the JVM and its main class."""
        restore = [_STATE, self.state] if self.state else []
        options = ["--job-classname", _DRIVER, "--job-id", self.job_id, *restore, "-D", f"python.files={self.files}"]
        return [*options, "-py", self.entry, *self.arguments]


class Ended(Struct, frozen=True):
    """The content of ended.json: the process with which the cluster ended, and its exit status."""

    name: str
    exit_status: Final


def end_of(layout: Layout) -> str | None:
    """Return the reason for which the last application cluster in a folder ended by itself; None if it did not.

    Raises:
        ClusterError: ended.json is damaged.
    """
    if not layout.ended.exists():
        return None
    ended = read_state_file(layout.ended, Ended)
    meaning = _MEANINGS[ended.exit_status]
    if ended.exit_status == Final.OVER:
        return meaning
    # The script's output, a traceback for one, is in the first; Flink's own reason in the second.
    said = "\n".join(_tail(file) for file in (layout.out(ended.name), layout.log(ended.name)))
    return f"{meaning}: {cause(said)}"


def _tail(file: Path) -> str:
    """Return the end of a file; an empty text if it is not there."""
    if not file.is_file():
        return ""
    with file.open("rb") as content:
        content.seek(max(0, file.stat().st_size - _READ))
        return content.read().decode(errors="replace")


def starter(checkpoints: Path, job_id: str) -> list[str]:
    """Return the words before a JobManager's command that let it begin at the job's newest checkpoint."""
    return [sys.executable, "-m", __name__, str(checkpoints), job_id]


def from_newest(command: Sequence[str], checkpoints: Path, job_id: str) -> list[str]:
    """Return a JobManager's command with the job's newest complete checkpoint as its state, if there is one."""
    newest = newest_checkpoint(checkpoints, job_id)
    if newest is None:
        return list(command)
    words = list(command)
    if _STATE in words:
        words[words.index(_STATE) + 1] = file_uri(newest)
        return words
    place = words.index("--job-id")
    return [*words[:place], _STATE, file_uri(newest), *words[place:]]


def main() -> NoReturn:
    """Become the JobManager."""
    checkpoints, job_id, *command = sys.argv[1:]
    words = from_newest(command, Path(checkpoints), job_id)
    os.execv(words[0], words)


if __name__ == "__main__":
    main()
