"""Append-only files of JSON lines: a written line stays, whichever process dies at whatever moment.

A line is on disk before `append` returns. A killed writer leaves at most part of a line, without its end; readers
skip that part, and the next writer cuts it off.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from job.deployment.submission import DeployError
from model.files import sync

Json = dict[str, Any]
_VERSION = 1


def read(file: Path) -> list[Json]:
    """Return all whole lines, oldest first; none if there is no file.

    Raises:
        DeployError: a line is not a record, or is of a later version.
    """
    whole = _whole(file.read_bytes()) if file.is_file() else b""
    records: list[Json] = []
    for number, line in enumerate(whole.splitlines(), 1):
        try:
            records.append(json.loads(line))
            version = records[-1]["version"]
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            what = f"line {number} of {file} is no record"
            msg = f"{what}: mend it, or move the file away and give recloop deploy --from URI"
            raise DeployError(msg) from error
        if version != _VERSION:
            msg = f"{file} was written by a later recloop (version {version}): deploy with that one"
            raise DeployError(msg)
    return records


def fault_of(error: Exception) -> str:
    """Return the fault of a record in words; a KeyError itself has only the name of what is missing."""
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)


def append(file: Path, record: Mapping[str, Any]) -> None:
    """Write one line, and wait until it is on disk."""
    file.parent.mkdir(parents=True, exist_ok=True)
    is_new = not file.exists()
    line = json.dumps({"version": _VERSION, **record}, default=str).encode() + b"\n"
    with file.open("ab+") as out:
        out.seek(0)
        out.truncate(len(_whole(out.read())))
        out.write(line)
        out.flush()
        os.fsync(out.fileno())
    if is_new:
        sync(file.parent)


def _whole(data: bytes) -> bytes:
    return data[: data.rfind(b"\n") + 1]
