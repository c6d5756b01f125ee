"""The verdict of the last drill, as the page shows it."""

from pathlib import Path
from typing import Any

import msgspec

_FILE = "verdict.json"


class _Fault(msgspec.Struct):
    name: str
    lost: int
    doubled: int
    caught_up_s: float | None = None


class _Verdict(msgspec.Struct):
    ok: bool
    faults: list[_Fault]


def read_verdict(folder: Path) -> dict[str, Any]:
    """Return the verdict in a drill's folder and when it was written; the verdict is None where there is none."""
    file = folder / _FILE
    try:
        at = int(file.stat().st_mtime * 1000)
        verdict = msgspec.json.decode(file.read_bytes(), type=_Verdict)
    except FileNotFoundError:
        return {"verdict": None, "folder": str(folder)}
    except (OSError, msgspec.DecodeError) as error:
        return {"problem": f"{file} cannot be read: {error}"}
    return {"verdict": msgspec.to_builtins(verdict), "at": at}
