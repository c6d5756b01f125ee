"""Debian's Prometheus and promtool: those on the PATH, else unpacked from its package into the project's cache."""

import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

_CACHE = Path(".recloop/cache/prometheus").absolute()
_PACKAGE = "prometheus"


@dataclass(frozen=True, slots=True)
class Programs:
    prometheus: Path
    promtool: Path


@cache
def programs() -> Programs:
    """Both; where there is neither a program nor a package, the test is skipped."""
    folders = [None, str(_CACHE / "usr/bin")]
    for folder in folders:
        found = [shutil.which(name, path=folder) for name in ("prometheus", "promtool")]
        if all(found):
            return Programs(*(Path(str(each)) for each in found))
        if folder is None and not (_CACHE / "usr/bin").is_dir():
            _unpack()
    pytest.skip("neither prometheus nor promtool is there, and apt-get fetches no package of them")


def _unpack() -> None:
    _CACHE.mkdir(parents=True, exist_ok=True)
    commands = (["apt-get", "download", _PACKAGE], ["sh", "-c", f"dpkg-deb --extract {_PACKAGE}_*.deb ."])
    for command in commands:
        try:
            subprocess.run(command, cwd=_CACHE, check=True, capture_output=True, timeout=300)
        except (OSError, subprocess.SubprocessError):
            return


def check(*words: str) -> str:
    """What promtool says; it fails the test where it finds a fault."""
    done = subprocess.run([programs().promtool, *words], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
