"""A broker's jars, and Flink's own connector: pinned Maven artifacts, fetched once by the machine's own Maven client.

The client's own settings name its repositories; nothing here does.
"""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from job.cluster.java import find_java
from job.kafka.errors import FetchFailedError, NoMavenError

_Artifacts = tuple[tuple[str, str, str], ...]
"""The group, name and version of each artifact."""
VERSION = "4.1.0"
CACHE = Path(".recloop/cache")
_BROKER = (("org.apache.kafka", "kafka_2.13", VERSION), ("org.slf4j", "slf4j-simple", "1.7.36"))
_CONNECTOR = ("org.apache.flink", "flink-sql-connector-kafka", "5.0.0-2.2")
_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
"""The goal's full, pinned name: a short one needs a request to resolve it, which is not repeated if it fails."""
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
    """Return whether a broker's artifacts could be fetched here."""
    return shutil.which("mvn") is not None


def broker_jars(cache: Path = CACHE, on_progress: Callable[[str], None] = lambda _: None) -> Path:
    """Return the folder with the broker's jars, which are fetched if the cache has none.

    Raises:
        NoMavenError: nothing is cached, and there is no Maven client.
        FetchFailedError: the client could not fetch.
        JavaNotFoundError: there is no Java for the client.
    """
    return _fetched(cache.absolute() / f"kafka-{VERSION}", _BROKER, on_progress)


def connector_jar(cache: Path = CACHE, on_progress: Callable[[str], None] = lambda _: None) -> Path:
    """Return the jar of Flink's own Kafka connector; errors are those of `broker_jars`."""
    _, name, version = _CONNECTOR
    return _fetched(cache.absolute() / f"{name}-{version}", (_CONNECTOR,), on_progress) / f"{name}-{version}.jar"


def _fetched(folder: Path, artifacts: _Artifacts, on_progress: Callable[[str], None]) -> Path:
    if folder.is_dir():
        return folder
    if not has_maven():
        msg = f"{folder.name} is fetched by the Maven client, and there is no mvn on the PATH: install Maven"
        raise NoMavenError(msg)
    on_progress(f"fetching {folder.name} with Maven")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder.parent) as staged:
        jars = _copy_dependencies(Path(staged), artifacts)
        # Another process may have made the folder meanwhile.
        if not folder.is_dir():
            jars.rename(folder)
    return folder


def _copy_dependencies(staged: Path, artifacts: _Artifacts) -> Path:
    """Fetch the jars of the artifacts and of all that they need, and return their folder."""
    names = " and ".join(f"{name} {version}" for _, name, version in artifacts)
    jars, pom = staged / "jars", staged / "pom.xml"
    dependencies = (
        f"<groupId>{group}</groupId><artifactId>{name}</artifactId><version>{version}</version>"
        for group, name, version in artifacts
    )
    listed = "\n".join(f"    <dependency>{each}</dependency>" for each in dependencies)
    pom.write_text(_POM.format(dependencies=listed))
    command = ["mvn", "--batch-mode", "--quiet", "--file", str(pom), _COPY]
    options = ["-DincludeScope=runtime", f"-DoutputDirectory={jars}"]
    environ = dict(os.environ)
    # The machine's own Java comes first, because it has the certificates to trust.
    if "JAVA_HOME" not in environ and not shutil.which("java"):
        environ["JAVA_HOME"] = str(find_java(environ).home)
    try:
        done = subprocess.run(
            [*command, *options], capture_output=True, text=True, env=environ, timeout=_FETCH_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        msg = f"Maven was not done fetching {names} in {_FETCH_TIMEOUT_S} s"
        raise FetchFailedError(msg) from error
    if done.returncode or not any(jars.glob(f"{artifacts[0][1]}-*.jar")):
        errors = [line for line in done.stdout.splitlines() if "ERROR" in line] or done.stderr.splitlines()
        msg = f"Maven could not fetch {names}; it said: {(errors or ['nothing'])[0]}"
        raise FetchFailedError(msg)
    return jars
