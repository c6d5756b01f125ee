"""The lock that allows one deployment at a time: a locked file that names the process that holds it."""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Annotated

import msgspec

from job.deployment.submission import DeployError
from model.file_lock import try_lock
from model.waiting import polls

_POLL_S = 0.2
_ORPHAN_S = 360.0
"""The time for which a killed deployment's client may go on: a little longer than a submission may take."""


class _Holder(msgspec.Struct, frozen=True, kw_only=True):
    """The process that holds the lock, as the file names it."""

    pid: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
    host: str
    since: str

    def __str__(self) -> str:
        """Return the name of the process for a message."""
        return f"process {self.pid} on {self.host} since {self.since}"

    @property
    def lives(self) -> bool:
        """True if the process is there; one on another machine is assumed to be."""
        if self.host != platform.node():
            return True
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True


@contextmanager
def held(file: Path, what: str) -> Iterator[int]:
    """Hold the file locked while the block runs, and yield its descriptor.

    A killed deployment's client may still be submitting. It holds the lock too, and is waited for.

    Args:
        file: the lock file; made if it is not there.
        what: the name of the locked thing, for the message.

    Raises:
        DeployError: another process holds the lock; the text names it.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a+") as lock:
        _take(lock, what)
        lock.truncate(0)
        since = datetime.now(UTC).isoformat(timespec="seconds")
        lock.write(msgspec.json.encode(_Holder(pid=os.getpid(), host=platform.node(), since=since)).decode())
        lock.flush()
        yield lock.fileno()
        lock.truncate(0)


def _take(lock: IO[str], what: str) -> None:
    holder = None
    for _ in polls(timeout_s=_ORPHAN_S, poll_s=_POLL_S):
        if try_lock(lock):
            return
        lock.seek(0)
        try:
            holder = msgspec.json.decode(lock.read().encode(), type=_Holder)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            holder = None  # it is just being written, or is damaged: only the lock counts
        if holder is not None and holder.lives:
            break
    msg = f"{what} is being deployed by {holder or 'another process'}: wait for it, or end it"
    raise DeployError(msg)
