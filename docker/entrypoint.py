"""The image's entry point: a JobManager or a TaskManager in the foreground, or any other command.

    jobmanager      [--set KEY=VALUE]...
    taskmanager     [--set KEY=VALUE]...
    gpu-taskmanager [--set KEY=VALUE]...    # for scoring alone; CUDA_VISIBLE_DEVICES says which GPU, 0 if nothing
    metrics-gateway                         # collects the metrics of those three, if METRICS_HOST names it to them
    recloop deploy ... (or whatever else)

Flink's settings and the JVMs' command lines are those of `recloop cluster start`; only the addresses and the folder of
the checkpoints differ, because here every process has a machine of its own. What is asked for takes this one's place.
"""

import json
import os
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from job.cluster import ClusterError, ClusterSpec
from job.cluster.config import flink_configuration, render, reporter_configuration
from job.cluster.gpus import GpuTaskManagers, gpu_configuration, gpu_environment, write_discovery_script
from job.cluster.java import Java, find_java
from job.cluster.jvm import INCARNATION, environment, job_manager_command, task_manager_command
from job.cluster.layout import (
    JOB_MANAGER,
    METRICS_GATEWAY,
    Layout,
    flink_home,
    gpu_task_manager_name,
    task_manager_name,
)
from job.cluster.plan import gateway_command
from job.cluster.uris import file_uri
from job.commands.options import parse_settings

TASK_MANAGER = "taskmanager"
GPU_TASK_MANAGER = "gpu-taskmanager"
_NAMES = {
    JOB_MANAGER: JOB_MANAGER,
    TASK_MANAGER: task_manager_name(0),
    GPU_TASK_MANAGER: gpu_task_manager_name(0),
}
STATE = Path("/var/lib/recloop")
HEALTH = "health.json"
REST_PORT, RPC_PORT, BLOB_PORT, METRICS_PORT = 8081, 6123, 6124, 9249
_EVERYWHERE = "0.0.0.0"  # of the container: compose.yaml says which port the host gets, and on which address

_CONSOLE = """\
rootLogger.appenderRef.console.ref = Console
appender.console.name = Console
appender.console.type = CONSOLE
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{yyyy-MM-dd HH:mm:ss,SSS} %-5p %c [%t] - %m%n
"""


@dataclass(frozen=True)
class Container:
    """The machine that this container is.

    Attributes:
        name: its host name.
        job_manager: the host name of the JobManager.
        state: the folder of what is this container's own.
        shared: the folder that all containers see.
        metrics: the host name of the gateway that collects metrics; None collects none.
    """

    name: str
    job_manager: str
    state: Path
    shared: Path
    metrics: str | None = None

    @property
    def layout(self) -> Layout:
        """The paths of its own folder."""
        return Layout(self.state)

    def settings(self, extra: Mapping[str, str]) -> dict[str, str]:
        """All Flink settings, the extra ones last."""
        spec = ClusterSpec(
            self.state,
            rest_port=REST_PORT,
            rpc_port=RPC_PORT,
            blob_port=BLOB_PORT,
            metrics_port=0,
            extra_config={**_network(self.job_manager), **_shared(self.shared), **_reporter(self.metrics), **extra},
        )
        told = flink_configuration(spec)
        if "taskmanager.host" not in extra:
            del told["taskmanager.host"]  # Flink then takes the address that reaches the JobManager
        return told


@dataclass(frozen=True)
class Execution:
    """The command that takes the entry point's place.

    Attributes:
        argv: the command.
        folder: where it runs.
        environment: under which variables.
    """

    argv: list[str]
    folder: Path
    environment: dict[str, str]

    def become(self) -> NoReturn:
        """Give this process to the command."""
        os.chdir(self.folder)
        os.execvpe(self.argv[0], self.argv, self.environment)


def prepare(arguments: Sequence[str], container: Container) -> Execution:
    """Write the command's files into the container's own folder.

    Raises:
        ClusterError: no Java, no such GPU, or a setting that cannot work.
    """
    role = arguments[0] if arguments else ""
    if role == METRICS_GATEWAY:
        return _gateway(arguments[1:])
    java, home, layout = find_java(os.environ), flink_home(), container.layout
    layout.prepare(home)
    extra, seen = _given(role, arguments, layout)
    settings = container.settings(extra)
    (layout.conf / "config.yaml").write_text(render(settings))
    variables = {**os.environ, **environment(java, layout, home), **seen}
    if role not in _NAMES:
        return Execution(list(arguments), Path.cwd(), variables)
    log4j = layout.conf / "log4j.properties"
    log4j.write_text(log4j.read_text() + _CONSOLE)
    argv = (_job_manager if role == JOB_MANAGER else _task_manager)(container, java, settings, _NAMES[role])
    scratch = layout.scratch(_NAMES[role])
    scratch.mkdir(parents=True, exist_ok=True)
    return Execution(argv, scratch, variables)


def main() -> NoReturn:
    """Read the command line and the host name of the JobManager, and become the process that is asked for."""
    host = os.environ.get("JOBMANAGER_HOST", JOB_MANAGER)
    metrics = os.environ.get("METRICS_HOST")
    container = Container(platform.node(), host, STATE, Path.cwd() / ".recloop", metrics)
    try:
        execution = prepare(sys.argv[1:], container)
    except ClusterError as error:
        sys.exit(str(error))
    execution.become()


def _network(job_manager: str) -> dict[str, str]:
    return {
        "rest.address": job_manager,
        "rest.bind-address": _EVERYWHERE,
        "jobmanager.rpc.address": job_manager,
        "jobmanager.bind-host": _EVERYWHERE,
        "taskmanager.bind-host": _EVERYWHERE,
    }


def _shared(folder: Path) -> dict[str, str]:
    return {
        "execution.checkpointing.dir": file_uri(folder / "checkpoints"),
        "execution.checkpointing.savepoint-dir": file_uri(folder / "savepoints"),
    }


def _reporter(metrics: str | None) -> dict[str, str]:
    return {} if metrics is None else reporter_configuration(f"http://{metrics}:{METRICS_PORT}")


def _gateway(words: Sequence[str]) -> Execution:
    """Return the gateway, which needs no Flink."""
    if words:
        sys.exit(f"nothing may follow {METRICS_GATEWAY}, not {' '.join(words)}")
    return Execution(gateway_command(_EVERYWHERE, METRICS_PORT), Path.cwd(), dict(os.environ))


def _given(role: str, arguments: Sequence[str], layout: Layout) -> tuple[dict[str, str], dict[str, str]]:
    """Return the Flink settings and the variables that a role has beyond all containers' ones."""
    if role not in _NAMES:
        return {}, {}
    options = _options(arguments[1:])
    if role != GPU_TASK_MANAGER:
        return options, {}
    gpu = GpuTaskManagers((os.environ.get("CUDA_VISIBLE_DEVICES", "0"),))
    write_discovery_script(layout.gpu_discovery, gpu)
    return {**gpu_configuration(layout.gpu_discovery), **options}, gpu_environment(*gpu.devices)


def _options(words: Sequence[str]) -> dict[str, str]:
    """Flink settings from `--set KEY=VALUE` words."""
    flags, pairs = words[::2], words[1::2]
    if len(flags) != len(pairs) or any(flag != "--set" for flag in flags):
        sys.exit(f"only --set KEY=VALUE may follow, not {' '.join(words)}")
    return parse_settings(list(pairs))


def _job_manager(container: Container, java: Java, settings: Mapping[str, str], _name: str) -> list[str]:
    _tell_health(container, "overview", "")
    return job_manager_command(java, container.layout, settings)


def _task_manager(container: Container, java: Java, settings: Mapping[str, str], name: str) -> list[str]:
    """Its id differs from start to start, as it does locally: the JobManager may still wait for the old one."""
    this_start = f"{container.name}-{time.time_ns():x}"
    argv = task_manager_command(java, container.layout, settings, name)
    _tell_health(container, "taskmanagers", f"{name}-{this_start}")
    return [part.replace(INCARNATION, this_start) for part in argv]


def _tell_health(container: Container, path: str, expected: str) -> None:
    """Write the question that health.py asks, and what the answer must hold."""
    asked = {"url": f"http://{container.job_manager}:{REST_PORT}/{path}", "expected": expected}
    (container.state / HEALTH).write_text(json.dumps(asked))


if __name__ == "__main__":
    main()
