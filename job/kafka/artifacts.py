"""A broker's jars: pinned Maven artifacts, fetched once by the machine's own Maven client.

Where the client fetches from is its own business: its settings say so, nothing here does.
"""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from job.cluster.java import find_java
from job.kafka.errors import FetchFailedError, NoMavenError

VERSION = "4.1.0"
CACHE = Path(".recloop/cache")
_ARTIFACTS = (("org.apache.kafka", "kafka_2.13", VERSION), ("org.slf4j", "slf4j-simple", "1.7.36"))
_FETCH_TIMEOUT_S = 600
_POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>recloop</groupId>
  <artifactId>development-broker</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
{dependencies}
  </dependencies>
</project>
"""


def has_maven() -> bool:
    """Whether a broker's artifacts could be fetched here."""
    return shutil.which("mvn") is not None


def broker_jars(cache: Path = CACHE, on_progress: Callable[[str], None] = lambda _: None) -> Path:
    """The folder with the broker's jars; fetched where the cache has none.

    Raises:
        NoMavenError: nothing is cached, and there is no Maven client.
        FetchFailedError: the client could not fetch.
        JavaNotFoundError: there is no Java for the client.
    """
    folder = cache.absolute() / f"kafka-{VERSION}"
    if folder.is_dir():
        return folder
    if not has_maven():
        msg = "a broker's artifacts are fetched by the Maven client, and there is no mvn on the PATH: install Maven"
        raise NoMavenError(msg)
    on_progress(f"fetching Kafka {VERSION} with Maven")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder.parent) as staged:
        jars = _copy_dependencies(Path(staged))
        # Another process may have been as fast.
        if not folder.is_dir():
            jars.rename(folder)
    return folder


def _copy_dependencies(staged: Path) -> Path:
    jars, pom = staged / "jars", staged / "pom.xml"
    pom.write_text(_POM.format(dependencies="\n".join(_dependency(*artifact) for artifact in _ARTIFACTS)))
    command = ["mvn", "--batch-mode", "--quiet", "--file", str(pom), "dependency:copy-dependencies"]
    environ = {**os.environ, "JAVA_HOME": str(find_java(os.environ).home)}
    options = ["-DincludeScope=runtime", f"-DoutputDirectory={jars}"]
    try:
        done = subprocess.run(
            [*command, *options], capture_output=True, text=True, env=environ, timeout=_FETCH_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        msg = f"Maven was not done fetching Kafka {VERSION} in {_FETCH_TIMEOUT_S} s"
        raise FetchFailedError(msg) from error
    if done.returncode or not any(jars.glob("kafka_*.jar")):
        said = [line for line in done.stdout.splitlines() if "ERROR" in line] or done.stderr.splitlines() or ["nothing"]
        msg = f"Maven could not fetch Kafka {VERSION}; it said: {said[0]}"
        raise FetchFailedError(msg)
    return jars


def _dependency(group: str, name: str, version: str) -> str:
    inner = f"<groupId>{group}</groupId><artifactId>{name}</artifactId><version>{version}</version>"
    return f"    <dependency>{inner}</dependency>"
