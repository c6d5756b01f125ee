"""The files in a state folder that precede a start: Flink's configuration, the supervisor's plan, the ports."""

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import msgspec
from msgspec import Struct, field

from job.cluster import metrics_gateway
from job.cluster.application import Application, Final, starter
from job.cluster.config import LOOPBACK, flink_configuration, render
from job.cluster.errors import ClusterError, SettingRefusedError
from job.cluster.gpus import GpuTaskManagers, gpu_configuration, gpu_environment, state_configuration
from job.cluster.high_availability import ha_commands
from job.cluster.java import Java
from job.cluster.jvm import job_manager_command, task_manager_command
from job.cluster.layout import (
    JOB_MANAGER,
    METRICS_GATEWAY,
    PYTHON_WORKERS,
    STANDBY,
    Layout,
    gpu_task_manager_name,
    is_task_manager,
    task_manager_name,
)
from job.cluster.ports import HA_PORT_NAMES, PORT_NAMES
from job.cluster.python_workers import RUNNER_FOLDER, server_command
from job.cluster.spec import ClusterSpec, ProcessSettings
from job.cluster.state_files import read_state_file, state_file_error
from job.cluster.uris import local_path
from model.files import replace_file


class StartedSpec(Struct, frozen=True):
    """The content of cluster.json: the spec last started in the folder, with the ports it was given."""

    rest_port: int
    rpc_port: int
    blob_port: int
    task_managers: int
    extra_config: dict[str, str] = field(default_factory=dict)
    jars: tuple[str, ...] = ()
    gpus: GpuTaskManagers = field(default_factory=GpuTaskManagers)
    high_availability: bool = False
    standby_port: int | None = None
    zookeeper_port: int | None = None
    metrics_port: int = 0
    processes: dict[str, ProcessSettings] = field(default_factory=dict)
    application: Application | None = None


def write_plan(spec: ClusterSpec, java: Java, home: Path) -> None:
    """Write the configuration, the command lines to keep running, and the settings to remember."""
    layout = Layout(spec.directory)
    configuration = flink_configuration(spec, home)
    (layout.conf / "config.yaml").write_text(render(configuration))
    # The settings of each TaskManager that override the cluster's.
    without_gpu = state_configuration() if spec.gpus.devices else {}
    with_gpu = {**gpu_configuration(layout.gpu_discovery, stand_in=spec.gpus.stand_in), **spec.gpus.extra_config}
    task_managers = {
        **{task_manager_name(index): without_gpu for index in range(spec.task_managers)},
        **{gpu_task_manager_name(index): with_gpu for index in range(len(spec.gpus.devices))},
    }
    task_managers = {name: {**own, **_settings(spec, name).extra_config} for name, own in task_managers.items()}
    commands = {
        **_job_managers(java, layout, configuration, spec),
        **{name: task_manager_command(java, layout, configuration, name, own) for name, own in task_managers.items()},
        PYTHON_WORKERS: server_command(),
        **_gateway(spec),
        **read_services(layout),
    }
    gpus = {gpu_task_manager_name(index): gpu_environment(device) for index, device in enumerate(spec.gpus.devices)}
    # A worker with a GPU is no fork: what CUDA takes from the variables, the forks' server may have taken before.
    environments = {name: gpus.get(name) or {RUNNER_FOLDER: str(layout.conf)} for name in task_managers}
    plan = [
        {
            "name": name,
            "argv": [*_settings(spec, name).before, *argv],
            "environment": environments.get(name, {}),
            "scratch": str(layout.scratch(name)),
            "out": str(layout.out(name)),
            **_tie(name, spec),
        }
        for name, argv in commands.items()
    ]
    replace_file(layout.plan, json.dumps(plan, indent=1).encode())
    remembered = (*PORT_NAMES, *HA_PORT_NAMES, "task_managers", "high_availability")
    settings = {name: getattr(spec, name) for name in remembered}
    others = {
        "extra_config": dict(spec.extra_config),
        "jars": list(map(str, spec.jars)),
        "gpus": asdict(spec.gpus),
        "processes": {name: asdict(each) for name, each in spec.processes.items()},
    }
    application = {} if spec.application is None else {"application": msgspec.to_builtins(spec.application)}
    replace_file(layout.settings, json.dumps({**settings, **others, **application}, indent=1).encode())


def _tie(name: str, spec: ClusterSpec) -> dict[str, object]:
    """Return the part of the plan that ties an application's processes together.

    A job that its JobManager's next start brings along has its code under other keys, which a TaskManager refuses that
    knows the job. With high availability the keys stay.
    """
    if spec.application is None:
        return {}
    if name in (JOB_MANAGER, STANDBY):
        return {"final": list(Final)}
    return {"follows": JOB_MANAGER} if is_task_manager(name) and not spec.high_availability else {}


def _settings(spec: ClusterSpec, name: str) -> ProcessSettings:
    return spec.processes.get(name, ProcessSettings())


def _job_managers(
    java: Java, layout: Layout, configuration: Mapping[str, str], spec: ClusterSpec
) -> dict[str, list[str]]:
    application = spec.application
    if spec.high_availability:
        return ha_commands(java, layout, configuration, spec.standby_port or 0, application)
    command = job_manager_command(java, layout, configuration, application=application)
    if application is None:
        return {JOB_MANAGER: command}
    folder = local_path(configuration["execution.checkpointing.dir"])
    if folder is None:
        msg = (
            "an application without high availability goes on from the newest checkpoint in a folder of this machine, "
            f"and execution.checkpointing.dir is {configuration['execution.checkpointing.dir']}: add --ha zookeeper"
        )
        raise SettingRefusedError(msg)
    return {JOB_MANAGER: [*starter(folder, application.job_id), *command]}


def _gateway(spec: ClusterSpec) -> dict[str, list[str]]:
    """Return the command of the gateway that collects the metrics, by its name; nothing if none are collected."""
    if not spec.metrics_port:
        return {}
    return {METRICS_GATEWAY: gateway_command(LOOPBACK, spec.metrics_port)}


def gateway_command(host: str, port: int) -> list[str]:
    """Return the command of a gateway that listens at an address."""
    return [sys.executable, "-I", "-S", metrics_gateway.__file__, "--host", host, "--port", str(port)]


def read_services(layout: Layout) -> dict[str, list[str]]:
    """Return the commands that run beside Flink's processes, by name.

    Raises:
        ClusterError: services.json is damaged.
    """
    return read_state_file(layout.services, dict[str, list[str]]) if layout.services.exists() else {}


def add_service(layout: Layout, name: str, command: list[str]) -> None:
    """Add a command that runs beside Flink's processes, from the next plan on."""
    services = {**read_services(layout), name: command}
    replace_file(layout.services, json.dumps(services, indent=1).encode())


def read_spec(layout: Layout, *, task_managers: int | None = None) -> ClusterSpec:
    """Return the spec last started in a folder, or the same with another number of TaskManagers without a GPU.

    Raises:
        ClusterError: cluster.json is missing or damaged.
    """
    started = read_started_spec(layout)
    return ClusterSpec(
        layout.root,
        task_managers=started.task_managers if task_managers is None else task_managers,
        rest_port=started.rest_port,
        rpc_port=started.rpc_port,
        blob_port=started.blob_port,
        extra_config=started.extra_config,
        jars=tuple(map(Path, started.jars)),
        gpus=started.gpus,
        high_availability=started.high_availability,
        standby_port=started.standby_port,
        zookeeper_port=started.zookeeper_port,
        metrics_port=started.metrics_port,
        processes=started.processes,
        application=started.application,
    )


def read_started_spec(layout: Layout) -> StartedSpec:
    """Return the spec last started in a folder, as its file has it.

    Raises:
        ClusterError: cluster.json is missing or damaged.
    """
    try:
        return read_state_file(layout.settings, StartedSpec)
    except FileNotFoundError as error:
        raise state_file_error(layout.settings, "missing") from error


def remembered_ports(layout: Layout) -> Mapping[str, int]:
    """Return the ports last used in a folder, by their names in the spec.

    There are none if cluster.json is missing or damaged: the start that asks for them writes it anew.
    """
    try:
        started = read_started_spec(layout)
    except ClusterError:
        return {}
    ports = {name: getattr(started, name) for name in (*PORT_NAMES, *HA_PORT_NAMES)}
    return {name: port for name, port in ports.items() if port is not None}
