"""A real Kafka (KRaft) broker on loopback for development, drills and tests: start, find and stop.

It runs in a session and process group of its own, from a state folder that holds its topics, its log and
broker.json (process, ports). Stopping leaves no process; topics stay in the folder.
"""

import base64
import contextlib
import os
import random
import re
import signal
import socket
import subprocess
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import psutil

from job.cluster.java import find_java
from job.cluster.ports import port_is_free
from job.kafka.artifacts import CACHE, broker_jars
from job.kafka.errors import BrokerFailedError
from job.kafka.server_properties import LOOPBACK, as_text, joining_properties, server_properties
from model.files import replace_file
from model.folders import FolderKind, claim_folder
from model.waiting import polls

DEFAULT_DIRECTORY = Path(".recloop/kafka")
_STARTED = "Kafka Server started"
_BAD_LINES = ("Exception", "ERROR", "FATAL", "Error:")
_PORTS = range(18_000, 32_000)
_STOP_S = 10.0
_POLL_S = 0.05
_STATE = FolderKind("a broker's state folder", "broker.json", frozenset({"controller_port"}), ("*",))

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class BrokerSpec:
    """The specification of a broker.

    Attributes:
        directory: its state folder.
        port: the port for clients; None takes the one it had, or a free one.
        heap: the limit of its JVM's heap.
        cache: the folder of fetched artifacts.
        joins: the state folder of a broker, already started, whose cluster it joins as its second one.
        properties: properties that replace ours in server.properties or are added to them.
        jvm_options: options for Java, such as -Dname=value.
    """

    directory: Path = DEFAULT_DIRECTORY
    port: int | None = None
    heap: str = "512m"
    cache: Path = CACHE
    joins: Path | None = None
    properties: Mapping[str, str] = field(default_factory=dict)
    jvm_options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Record:
    """The content of broker.json; the creation time distinguishes a process from a later one with the same id."""

    pid: int
    created: float
    port: int
    controller_port: int


@dataclass(frozen=True, slots=True)
class _Cluster:
    """A Kafka cluster that a broker can join: its id, and the port of its controller."""

    cluster_id: str
    controller_port: int


@dataclass(frozen=True, slots=True)
class RunningBroker:
    """A broker that has become ready.

    Attributes:
        bootstrap: the address for clients, host:port.
        pid: its process id, which is its process group's too.
        directory: its state folder.
    """

    bootstrap: str
    pid: int
    directory: Path

    def stop(self) -> None:
        """End the broker in order, or by force if that takes over 10 s."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End the broker as a crash would (SIGKILL)."""
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
            process = psutil.Process(self.pid)
            os.killpg(self.pid, number)
            try:
                process.wait(_STOP_S)
            except psutil.TimeoutExpired:
                os.killpg(self.pid, signal.SIGKILL)
                process.wait(_STOP_S)


def start(
    spec: BrokerSpec = BrokerSpec(), *, timeout_s: float = 30, on_progress: Progress = lambda _: None
) -> RunningBroker:
    """Start a broker, or find the one that runs in the folder, and return it when it serves.

    Raises:
        NoMavenError, FetchFailedError: its artifacts are not there and can't be fetched.
        BrokerFailedError: its port is taken, its record is damaged, or it did not get ready; the text then holds a
            line of its log.
        JavaNotFoundError: there is no Java for it.
        NotOursError: the folder holds something else.
    """
    if (running := find(spec.directory)) is not None:
        return running
    jars = broker_jars(spec.cache, on_progress)
    directory = spec.directory.absolute()
    claim_folder(directory, _STATE)
    if spec.port is not None and not port_is_free(spec.port):
        msg = f"port {spec.port} is taken: choose another, or end the process that has it"
        raise BrokerFailedError(msg)
    before, joined = _read(directory), None if spec.joins is None else _cluster_of(spec.joins)
    port = spec.port or _port_like(before.port if before else None, taken=None)
    had = before.controller_port if before else None
    controller_port = joined.controller_port if joined else _port_like(had, taken=port)
    data, config = directory / "data", directory / "server.properties"
    properties = server_properties if joined is None else joining_properties
    config.write_text(as_text(properties(data, port, controller_port, spec.properties)))
    java = [str(find_java(os.environ).executable), f"-Xmx{spec.heap}", *spec.jvm_options, "-cp", f"{jars}/*"]
    if not (directory / "data" / "meta.properties").exists():
        on_progress("formatting its folder")
        _format(java, config, joined.cluster_id if joined else _new_cluster_id())
    on_progress("starting the broker")
    log = directory / "broker.log"
    to_log = (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    no_input = (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)
    actions = [no_input, to_log, (os.POSIX_SPAWN_DUP2, 1, 2)]
    command = [*java, "kafka.Kafka", str(config)]
    pid = os.posix_spawn(command[0], command, os.environ, file_actions=actions, setsid=True)
    broker = RunningBroker(bootstrap=f"{LOOPBACK}:{port}", pid=pid, directory=directory)
    _await_ready(broker, port, log, timeout_s)
    created = psutil.Process(pid).create_time()
    record = _Record(pid=pid, created=created, port=port, controller_port=controller_port)
    replace_file(directory / "broker.json", msgspec.json.encode(record))
    return broker


def stop(directory: Path) -> None:
    """End the broker of a state folder, if one runs; see `RunningBroker.stop`."""
    if (running := find(directory)) is not None:
        running.stop()


def find(directory: Path = DEFAULT_DIRECTORY) -> RunningBroker | None:
    """Return the broker that runs in a state folder; None if none does.

    Raises:
        BrokerFailedError: its record is damaged.
    """
    record = _read(directory)
    if record is None:
        return None
    try:
        process = psutil.Process(record.pid)
        alive = process.create_time() == record.created and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return None
    if not alive:
        return None
    return RunningBroker(bootstrap=f"{LOOPBACK}:{record.port}", pid=record.pid, directory=directory.absolute())


def _read(directory: Path) -> _Record | None:
    path = directory / "broker.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Record)
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError) as error:
        msg = f"{path} is damaged ({error}): end the broker of that folder, if one still runs, and delete the file"
        raise BrokerFailedError(msg) from error


def _port_like(before: int | None, taken: int | None) -> int:
    """Return the port of before if it is free, else any free one."""
    candidates = [before] if before else []
    candidates += random.sample(_PORTS, 200)
    return next(port for port in candidates if port != taken and port_is_free(port))


def _new_cluster_id() -> str:
    """Return a cluster id; a leading "-" would be taken for an option."""
    cluster_id = "-"
    while cluster_id.startswith("-"):
        cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    return cluster_id


def _cluster_of(directory: Path) -> _Cluster:
    """Return the cluster that the broker of a state folder is the controller of.

    Raises:
        BrokerFailedError: no broker was started there yet.
    """
    record, meta = _read(directory), directory / "data" / "meta.properties"
    found = re.search(r"^cluster.id=(.+)$", meta.read_text(), re.MULTILINE) if meta.exists() else None
    if record is None or found is None:
        msg = f"no broker was started in {directory}: start the one whose cluster is to be joined first"
        raise BrokerFailedError(msg)
    return _Cluster(cluster_id=found[1].strip(), controller_port=record.controller_port)


def _format(java: list[str], config: Path, cluster_id: str) -> None:
    """Format the data folder for KRaft."""
    command = [*java, "kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        msg = f"Kafka could not format its folder: {_telling_line(done.stdout + done.stderr)}"
        raise BrokerFailedError(msg)


def _await_ready(broker: RunningBroker, port: int, log: Path, timeout_s: float) -> None:
    """Wait until the broker reports that it has started, and takes connections; kill it if it dies or is too slow."""
    fault = "was not ready in time"
    for _ in polls(timeout_s=timeout_s, poll_s=_POLL_S):
        output = log.read_text(errors="replace") if log.exists() else ""
        if _STARTED in output and _takes_connections(port):
            return
        if _is_dead(broker.pid):
            fault = "died"
            break
    broker.kill()
    msg = f"the broker {fault}: {_telling_line(output)}\nIts log is {log}"
    raise BrokerFailedError(msg)


def _takes_connections(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK, port), timeout=1).close()
    except OSError:
        return False
    return True


def _is_dead(pid: int) -> bool:
    """Return whether our child has ended: until it is waited for it stays a zombie, unless others have done that."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _telling_line(output: str) -> str:
    """Return the first line that names an error, else the last one."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    bad = (line for line in lines if any(word in line for word in _BAD_LINES))
    return next(bad, lines[-1] if lines else "it said nothing")
