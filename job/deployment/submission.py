"""Submission by Flink's command line: the cluster, the call, and the reason if Flink refuses the job."""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from job.cluster import ClusterSpec, FlinkRest, RestError, RunningCluster, find, stop
from job.cluster.address import rest_address
from job.cluster.application_rest import ApplicationRest
from job.cluster.causes import cause
from job.cluster.config import LOOPBACK
from job.cluster.java import find_java
from job.cluster.jvm import environment as cluster_environment
from job.cluster.jvm import utf8_locale
from job.cluster.layout import Layout, flink_home
from job.cluster.lifecycle import prepare_folder
from job.cluster.plan import read_spec, remembered_ports
from job.cluster.ports import HA_PORT_NAMES, PORT_NAMES, with_ports
from model.errors import RecloopError

_PYTHON_KEY = "python.executable"
_SUBMITTED = re.compile(r"JobID ([0-9a-f]{32})")
_SUBMIT_TIMEOUT_S = 300.0
_FOLDERS = tuple(
    f"FLINK_{part}" for part in ("HOME", "CONF_DIR", "LIB_DIR", "OPT_DIR", "PLUGINS_DIR", "LOG_DIR", "PID_DIR")
)
_PLAIN = re.compile(r"[\w./@+=-]*", re.ASCII)
"""A text that a shell takes as one word even without quotes."""
_TRUSTED_BY_JAVA = (
    "Flink's client trusts what Java does: import the certificate with keytool, and set "
    "JVM_ARGS='-Djavax.net.ssl.trustStore=FILE -Djavax.net.ssl.trustStorePassword=...'"
)


class DeployError(RecloopError):
    """The job was not deployed; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Target:
    """A cluster to deploy to.

    Attributes:
        rest_url: its REST interface.
        environment: the variables `flink run` needs.
        folder: the folder that records deployments.
        checkpoints: the folder of retained checkpoints; None if this machine does not see it.
        application: the cluster to start for the job, with its ports; None if the cluster runs already.
        before: the application's cluster that runs now, as it was started; None if none does.
    """

    rest_url: str
    environment: dict[str, str]
    folder: Path
    checkpoints: Path | None
    application: ClusterSpec | None = None
    before: ClusterSpec | None = None

    @property
    def is_local(self) -> bool:
        """True if the cluster is one of `recloop cluster start`, with all its files here."""
        return self.checkpoints == self.folder.parent / "checkpoints"

    @classmethod
    def local(cls, cluster: RunningCluster) -> "Target":
        """Return the target for a cluster on this machine: a session cluster, or the one of an application."""
        if cluster.application is not None:
            before = read_spec(cluster.layout)
            return cls._of_application(before, before, before)
        folder = cluster.directory / "deployments"
        return cls(cluster.rest_url, cluster.environment(), folder, cluster.layout.checkpoints)

    @classmethod
    def for_application(cls, spec: ClusterSpec) -> "Target":
        """Return the target for a cluster that is started with the job, and ends with it.

        Raises:
            DeployError: a session cluster runs in the folder.
            JavaNotFoundError: there is no Java that runs Flink.
            StartFailedError: a given port is taken.
        """
        prepare_folder(spec.directory)
        layout, running = Layout(spec.directory), find(spec.directory)
        if running is not None and running.application is None:
            msg = (
                f"a session cluster runs in {spec.directory}: recloop cluster stop --dir {spec.directory}, and the "
                "application goes on from its job's state; or give another --dir"
            )
            raise DeployError(msg)
        if running is not None:
            before = read_spec(layout)
            return cls._of_application(before, spec, before)
        return cls._of_application(with_ports(spec, remembered_ports(layout)), spec, None)

    @classmethod
    def _of_application(cls, ports: ClusterSpec, spec: ClusterSpec, before: ClusterSpec | None) -> "Target":
        names = PORT_NAMES if ports.high_availability != spec.high_availability else (*PORT_NAMES, *HA_PORT_NAMES)
        chosen = replace(spec, **{name: getattr(ports, name) for name in names})
        layout = Layout(spec.directory)
        variables = {**os.environ, **cluster_environment(find_java(os.environ), layout, flink_home())}
        url = f"http://{LOOPBACK}:{chosen.rest_port}"
        return cls(url, variables, layout.root / "deployments", layout.checkpoints, chosen, before)

    def rest(self) -> FlinkRest:
        """Return a client of the cluster's REST interface; close it, or use it in a with statement."""
        if self.application is None:
            return FlinkRest(self.rest_url)
        return ApplicationRest(self.rest_url, self.application)

    def end_cluster(self) -> None:
        """End the cluster that was started for the job; do nothing to one that runs without it."""
        if self.application is not None:
            stop(self.application.directory)

    @classmethod
    def remote(cls, rest_url: str, folder: Path, checkpoints: Path | None = None) -> "Target":
        """Return the target for any other cluster, whose TaskManagers need the same Python environment.

        Raises:
            SettingRefusedError: the text is not an address.
            JavaNotFoundError: there is no Java that runs Flink's command line.
            DeployError: FLINK_CONF_DIR does not name a folder with Flink's configuration.
        """
        home, java = flink_home(), find_java(os.environ)
        configuration = Path(os.environ.get("FLINK_CONF_DIR") or home / "conf")
        if not (configuration / "config.yaml").is_file():
            what = f"FLINK_CONF_DIR is {configuration}, which holds no config.yaml"
            msg = f"{what}: unset it, or name Flink's conf folder"
            raise DeployError(msg)
        # This environment's bin comes first, because it may not be activated.
        bins = (Path(sys.executable).parent, java.home / "bin", os.environ.get("PATH", os.defpath))
        environment = {
            **os.environ,
            **utf8_locale(os.environ),
            "FLINK_HOME": str(home),
            "JAVA_HOME": str(java.home),
            "PATH": os.pathsep.join(map(str, bins)),
            "FLINK_CONF_DIR": str(configuration.absolute()),
        }
        return cls(rest_address(rest_url), environment, folder, checkpoints)


def submit(target: Target, arguments: list[str], *, keep_open: tuple[int, ...] = ()) -> str:
    """Run `flink run`, and return the job's id from its output.

    This Python runs the job's script. The TaskManagers' workers run the one that their cluster's configuration names,
    else the python3 on their PATH, which thread mode takes as well.

    Args:
        target: the cluster.
        arguments: the arguments after the JobManager's address and the Pythons.
        keep_open: descriptors that Flink's client holds as well, so that a lock is kept until it is done.

    Raises:
        DeployError: Flink did not take the job, or did not answer.
    """
    pythons = ["-pyclientexec", sys.executable, "-pyexec", worker_python(target)]
    words = ["run", "--detached", *_connection(target), *pythons, *arguments]
    output = _flink(target, words, keep_open=keep_open)
    if submitted := _SUBMITTED.search(output):
        return submitted.group(1)
    log = target.folder / "last-refusal.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(output)
    msg = f"Flink did not take the job: {cause(output)}\nAll it said is in {log}"
    raise DeployError(msg)


def try_connection(target: Target) -> None:
    """List the cluster's jobs by Flink's own client, on the path that `submit` will take; costs a JVM's start.

    Raises:
        DeployError: the client cannot reach the cluster; a proxy, a certificate or FLINK_CONF_DIR prevents it.
    """
    output = _flink(target, ["list", *_connection(target)])
    if "Waiting for response" in output and "running" in output.lower() and "Exception" not in output:
        return
    advice = f". {_TRUSTED_BY_JAVA}" if target.rest_url.startswith("https") else ""
    msg = f"Flink's client does not reach {target.rest_url}: {cause(output)}{advice}"
    raise DeployError(msg)


def _flink(target: Target, words: list[str], *, keep_open: tuple[int, ...] = ()) -> str:
    """Run Flink's command line and return all that it printed."""
    try:
        with _without_blanks(target.environment) as environment:
            done = subprocess.run(
                [f"{environment['FLINK_HOME']}/bin/flink", *words],
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_SUBMIT_TIMEOUT_S,
                check=False,
                pass_fds=keep_open,
            )
    except subprocess.TimeoutExpired as error:
        msg = f"Flink's command line was not done in {_SUBMIT_TIMEOUT_S:g} s: is {target.rest_url} healthy?"
        raise DeployError(msg) from error
    except OSError as error:
        msg = f"Flink's command line cannot be run: {error}; install apache-flink into this environment again"
        raise DeployError(msg) from error
    return f"{done.stdout}\n{done.stderr}"


@contextmanager
def _without_blanks(environment: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Yield the environment with links in place of folders that Flink's scripts, which do not quote, cannot take."""
    unfit = [name for name in _FOLDERS if not _PLAIN.fullmatch(environment.get(name, ""))]
    with tempfile.TemporaryDirectory(prefix="recloop-flink-") as folder:
        for name in unfit:
            (Path(folder) / name.lower()).symlink_to(environment[name])
        links = {name: f"{folder}/{name.lower()}/." for name in unfit}  # find does not follow a bare link
        # Otherwise the scripts would resolve the link FLINK_HOME.
        yield {**environment, **links, "_FLINK_HOME_DETERMINED": "true"}


def _connection(target: Target) -> list[str]:
    """Return the option for the whole address; from host and port alone Flink would know no https and no path."""
    return ["--jobmanager", rest_address(target.rest_url)]


def worker_python(target: Target) -> str:
    """Return the Python of the TaskManagers' workers: as configured here or there, else the python3 on their PATH."""
    folder = target.environment.get("FLINK_CONF_DIR") or Path(target.environment["FLINK_HOME"]) / "conf"
    file = Path(folder) / "config.yaml"
    configured = None
    for line in file.read_text().splitlines() if file.is_file() else ():
        key, _, value = line.partition(": ")
        if key == _PYTHON_KEY:  # the last one counts
            configured = value.strip().strip("\"'")
    if configured is not None:
        return configured
    try:
        with target.rest() as rest:
            return rest.configuration().get(_PYTHON_KEY, "python3")
    except RestError:
        return "python3"
