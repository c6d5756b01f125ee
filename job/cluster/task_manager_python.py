"""The Python that a TaskManager finds: the python3 first on its PATH, which thread mode runs in.

Flink reports it nowhere. If a TaskManager runs on this machine, its process can be examined.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from job.cluster.records import RegisteredTaskManager

_NEEDED = ("pyflink", "pemja", "msgspec", "numpy")
"""The modules that an operator in thread mode imports, beside our own packages and the standard library."""

_ASK = (
    "import sys\nfrom importlib.util import find_spec\n"
    "print('%d.%d' % sys.version_info[:2], *[name for name in sys.argv[1:] if find_spec(name) is None])"
)
_ASK_S = 20.0
_ADDRESS = re.compile(r"@([^:/@]+):(\d+)/")
_HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


@dataclass(frozen=True, slots=True)
class FoundPython:
    """A Python that was found: its major.minor version, and the needed modules that it lacks."""

    version: str
    lacks: tuple[str, ...]


def python_faults(task_managers: Sequence[RegisteredTaskManager]) -> Iterator[str]:
    """Yield the faults of the Pythons that TaskManagers on this machine find, each once."""
    seen: set[str] = set()
    for each in task_managers:
        environ = environment_of(each.address)
        fault = None if environ is None else path_fault(environ)
        if fault is not None and fault not in seen:
            seen.add(fault)
            yield f"TaskManager {each.resource_id} {fault}"


def path_fault(environ: Mapping[str, str]) -> str | None:
    """Return the fault of the python3 that a process of this environment finds, with its remedy; or None."""
    mend = f"start TaskManagers with {Path(sys.executable).parent} first on PATH, or the same environment elsewhere"
    program = shutil.which("python3", path=environ.get("PATH", os.defpath))
    if program is None:
        return f"finds no python3 on its PATH: {mend}"
    found = ask(program, environ)
    if found is None:
        return f"finds {program}, which does not run: {mend}"
    if found.version != _HERE:
        return f"finds another Python first on its PATH ({program}): Python {found.version} there, {_HERE} here; {mend}"
    if found.lacks:
        return f"finds {program} first on its PATH, which has no {', '.join(found.lacks)}: {mend}"
    return None


def ask(program: str, environ: Mapping[str, str]) -> FoundPython | None:
    """Return the version and missing modules of a Python in an environment; None if it cannot be run."""
    try:
        done = subprocess.run(
            [program, "-c", _ASK, *_NEEDED],
            env=dict(environ),
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_ASK_S,
            check=True,
        )
        version, *lacks = done.stdout.split()
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return FoundPython(version=version, lacks=tuple(lacks))


def environment_of(address: str) -> dict[str, str] | None:
    """Return the variables of the TaskManager at a Pekko address; None if it is not a process of this machine."""
    found = _ADDRESS.search(address)
    if found is None:
        return None
    own = {each.address for addresses in psutil.net_if_addrs().values() for each in addresses}
    try:
        if socket.gethostbyname(found[1]) not in own:
            return None
        listening = (
            each.pid
            for each in psutil.net_connections("tcp")
            if each.status == psutil.CONN_LISTEN and each.laddr and each.laddr.port == int(found[2]) and each.pid
        )
        pid = next(listening, None)
        if pid is None:
            return None
        # In a container the same path is another file. (pathlib follows these links, which point nowhere.)
        if os.readlink(f"/proc/{pid}/ns/mnt") != os.readlink("/proc/self/ns/mnt"):  # noqa: PTH115
            return None
        return psutil.Process(pid).environ()
    except (psutil.Error, OSError):
        return None
