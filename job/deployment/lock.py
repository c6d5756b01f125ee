"""The lock that allows one deployment at a time: a locked file that names the process that holds it."""

import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from job.deployment.submission import DeployError
from model.file_lock import try_lock
from model.waiting import polls

_POLL_S = 0.2
_ORPHAN_S = 360.0
"""The time for which a killed deployment's client may go on: a little longer than a submission may take."""


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
        _write_holder(lock)
        yield lock.fileno()
        lock.truncate(0)


def _take(lock: IO[str], what: str) -> None:
    for _ in polls(timeout_s=_ORPHAN_S, poll_s=_POLL_S):
        if try_lock(lock):
            return
        if _lives(_holder(lock)):
            break
    msg = f"{what} is being deployed by {_told(_holder(lock))}: wait for it, or end it"
    raise DeployError(msg)


def _write_holder(lock: IO[str]) -> None:
    lock.truncate(0)
    since = datetime.now(UTC).isoformat(timespec="seconds")
    json.dump({"pid": os.getpid(), "host": platform.node(), "since": since}, lock)
    lock.flush()


def _holder(lock: IO[str]) -> dict[str, object]:
    lock.seek(0)
    try:
        holder = json.loads(lock.read())
    except ValueError:
        return {}
    return holder if isinstance(holder, dict) else {}


def _lives(holder: dict[str, object]) -> bool:
    """Return whether the holder is at work; one on another machine is assumed to be."""
    if holder.get("host") != platform.node():
        return bool(holder)
    try:
        os.kill(int(str(holder["pid"])), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _told(holder: dict[str, object]) -> str:
    if not holder:
        return "another process"
    return f"process {holder.get('pid')} on {holder.get('host')} since {holder.get('since')}"
