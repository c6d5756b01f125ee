"""The specification of a local cluster: its folder, size, ports and extra settings of Flink's."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from job.cluster.application import Application
from job.cluster.errors import SettingRefusedError
from job.cluster.gpus import ADAPTIVE_IGNORES_GPUS, GpuTaskManagers, adaptive

DEFAULT_DIRECTORY = Path(".recloop/cluster")

_UNFIT = re.compile(r"[^\w /.+=@~'()$&!-]|[\ud800-\udfff]|\$(?=\{)")
"""The characters that the path of a state folder may not have.

At a colon or a comma Flink splits the path into two folders; with # ? % and quotes its URIs, patterns and lists name
another folder.
"""
_SPLITS_COMMANDS = re.compile(r"\s")  # Flink's GPU plugin runs its script as one unquoted line

_REFUSED = {
    "taskmanager.memory.process.size": "taskmanager.memory.task.heap.size and .managed.size",
    "taskmanager.memory.flink.size": "taskmanager.memory.task.heap.size and .managed.size",
    "jobmanager.memory.process.size": "jobmanager.memory.heap.size",
    "jobmanager.memory.flink.size": "jobmanager.memory.heap.size",
    "taskmanager.resource-id": "nothing: every start of a TaskManager gets an id of its own",
    "rest.port": "rest_port",
    "jobmanager.rpc.port": "rpc_port",
    "blob.server.port": "blob_port",
}


@dataclass(frozen=True)
class ProcessSettings:
    """The settings of a single process of a cluster.

    Attributes:
        before: words put before its command, of a program that becomes the command: `("nsenter", "--net=PATH")`.
        extra_config: Flink settings of a TaskManager that override the cluster's.
    """

    before: tuple[str, ...] = ()
    extra_config: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ClusterSpec:
    """The wanted local cluster.

    Attributes:
        directory: the state folder; everything the cluster writes is in it.
        task_managers: the number of TaskManagers without a GPU, each with one slot.
        rest_port: port of the REST interface and the web page; None takes the one used last here, or a free one.
        rpc_port: port that TaskManagers reach the JobManager at; None as above.
        blob_port: port that code is fetched from; None as above.
        extra_config: Flink settings that are added to ours or replace them.
        jars: connectors and the like, loaded by every process.
        gpus: further TaskManagers, each with a GPU.
        high_availability: a second JobManager, which takes over when the first dies, and a ZooKeeper for both.
        standby_port: port of the second JobManager's REST interface; None as above.
        zookeeper_port: port of the ZooKeeper; None as above.
        metrics_port: port that Prometheus reads the metrics at; None takes the one used last here, or a free one; 0: no
            metrics are collected.
        json_logs: whether every process of Flink's writes its log also as JSON lines, to `logs/NAME.log.jsonl`.
        processes: settings of single processes, by name, such as taskmanager-0.
        application: the one job that the JobManager runs itself, and with which the cluster ends; None: a session
            cluster, which takes jobs.

    Raises:
        SettingRefusedError: for a number or a key that cannot work.
    """

    directory: Path = DEFAULT_DIRECTORY
    task_managers: int = 1
    rest_port: int | None = None
    rpc_port: int | None = None
    blob_port: int | None = None
    extra_config: Mapping[str, str] = field(default_factory=dict)
    jars: tuple[Path, ...] = ()
    gpus: GpuTaskManagers = field(default_factory=GpuTaskManagers)
    high_availability: bool = False
    standby_port: int | None = None
    zookeeper_port: int | None = None
    metrics_port: int | None = None
    json_logs: bool = False
    processes: Mapping[str, ProcessSettings] = field(default_factory=dict)
    application: Application | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "directory", Path(self.directory).absolute())
        _check_folder(self.directory, _UNFIT)
        if self.gpus.devices:
            _check_folder(self.directory, _SPLITS_COMMANDS)
        object.__setattr__(self, "jars", tuple(Path(jar).absolute() for jar in self.jars))
        if missing := [str(jar) for jar in self.jars if not jar.is_file()]:
            msg = f"there is no jar {missing[0]}"
            raise SettingRefusedError(msg)
        if self.task_managers < 1:
            msg = f"task_managers is {self.task_managers}: a cluster needs at least 1"
            raise SettingRefusedError(msg)
        for name in ("rest_port", "rpc_port", "blob_port"):
            port = getattr(self, name)
            if port is not None and not 1 <= port <= 65535:
                msg = f"{name} is {port}: a port is 1 to 65535"
                raise SettingRefusedError(msg)
        if self.metrics_port is not None and not 0 <= self.metrics_port <= 65535:
            msg = f"metrics_port is {self.metrics_port}: a port is 1 to 65535, and 0 turns metrics off"
            raise SettingRefusedError(msg)
        if self.gpus.devices and (scheduler := adaptive(self.extra_config)):
            msg = f"{scheduler} and GPU TaskManagers: {ADAPTIVE_IGNORES_GPUS}"
            raise SettingRefusedError(msg)
        for key in (*self.extra_config, *self.gpus.extra_config):
            if key in _REFUSED:
                msg = f"extra_config may not set {key}; use {_REFUSED[key]}"
                raise SettingRefusedError(msg)


def _check_folder(folder: Path, unfit: re.Pattern[str]) -> None:
    if found := unfit.search(str(folder)):
        msg = (
            f"Flink cannot keep a cluster in {str(folder)!r}, for the {found.group()!r} in its path: name a folder of "
            "letters and digits, as --dir /var/tmp/recloop"
        )
        raise SettingRefusedError(msg)
