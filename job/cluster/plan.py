"""The files in a state folder that precede a start: Flink's configuration, the supervisor's plan, the ports."""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

from job.cluster.config import flink_configuration, render
from job.cluster.gpus import GpuTaskManagers, gpu_configuration, gpu_environment, state_configuration
from job.cluster.java import Java
from job.cluster.jvm import job_manager_command, task_manager_command
from job.cluster.layout import JOB_MANAGER, Layout, gpu_task_manager_name, task_manager_name
from job.cluster.ports import PORT_NAMES
from job.cluster.spec import ClusterSpec


def write_plan(spec: ClusterSpec, java: Java, home: Path) -> None:
    """Write the configuration, the command lines to keep running, and the settings to remember."""
    layout = Layout(spec.directory)
    configuration = flink_configuration(spec, home)
    (layout.conf / "config.yaml").write_text(render(configuration))
    commands = {
        JOB_MANAGER: job_manager_command(java, layout, configuration),
        **{
            name: task_manager_command(java, layout, configuration, name, own)
            for name, own in _task_managers(spec).items()
        },
        **read_services(layout),
    }
    environments = {
        gpu_task_manager_name(index): gpu_environment(device) for index, device in enumerate(spec.gpus.devices)
    }
    plan = [
        {
            "name": name,
            "argv": argv,
            "environment": environments.get(name, {}),
            "scratch": str(layout.scratch(name)),
            "out": str(layout.out(name)),
        }
        for name, argv in commands.items()
    ]
    layout.plan.write_text(json.dumps(plan, indent=1))
    _write_settings(layout, spec)


def _task_managers(spec: ClusterSpec) -> dict[str, dict[str, str]]:
    """Return every TaskManager's name, with the settings that override the cluster's."""
    gpus = spec.gpus
    if not gpus.devices:
        return {task_manager_name(index): {} for index in range(spec.task_managers)}
    with_gpu = gpu_configuration(Layout(spec.directory).gpu_discovery, stand_in=gpus.stand_in)
    return {
        **{task_manager_name(index): state_configuration() for index in range(spec.task_managers)},
        **{gpu_task_manager_name(index): {**with_gpu, **gpus.extra_config} for index in range(len(gpus.devices))},
    }


def read_services(layout: Layout) -> dict[str, list[str]]:
    """Return the commands that run beside Flink's processes, by name."""
    return dict(json.loads(layout.services.read_text())) if layout.services.exists() else {}


def add_service(layout: Layout, name: str, command: list[str]) -> None:
    """Add a command that runs beside Flink's processes, from the next plan on."""
    layout.services.write_text(json.dumps({**read_services(layout), name: command}, indent=1))


def read_spec(layout: Layout, *, task_managers: int) -> ClusterSpec:
    """Return the spec last started in a folder, with another number of TaskManagers without a GPU."""
    stored = json.loads(layout.settings.read_text())
    gpus = GpuTaskManagers(**stored.pop("gpus", {}))
    return replace(ClusterSpec(layout.root, gpus=gpus, **stored), task_managers=task_managers)


def remembered_ports(layout: Layout) -> Mapping[str, int]:
    """Return the ports last used in a folder, by their names in the spec."""
    try:
        stored = json.loads(layout.settings.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return {name: int(stored[name]) for name in PORT_NAMES if stored.get(name)}


def _write_settings(layout: Layout, spec: ClusterSpec) -> None:
    settings = {name: getattr(spec, name) for name in (*PORT_NAMES, "task_managers")}
    others = {"extra_config": dict(spec.extra_config), "jars": list(map(str, spec.jars)), "gpus": asdict(spec.gpus)}
    layout.settings.write_text(json.dumps(settings | others, indent=1))
