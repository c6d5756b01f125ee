"""What is written into a state folder before a start: Flink's configuration, the supervisor's plan, the ports."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from job.cluster.config import flink_configuration, render
from job.cluster.java import Java
from job.cluster.jvm import job_manager_command, task_manager_command
from job.cluster.layout import JOB_MANAGER, Layout, task_manager_name
from job.cluster.ports import PORT_NAMES
from job.cluster.spec import ClusterSpec


def write_plan(spec: ClusterSpec, java: Java, home: Path) -> None:
    """Writes the configuration, the command lines to keep running, and the settings to remember."""
    layout = Layout(spec.directory)
    configuration = flink_configuration(spec, home)
    (layout.conf / "config.yaml").write_text(render(configuration))
    commands = {JOB_MANAGER: job_manager_command(java, layout, configuration)}
    for index in range(spec.task_managers):
        commands[task_manager_name(index)] = task_manager_command(java, layout, configuration, index)
    commands.update(read_services(layout))
    plan = [
        {"name": name, "argv": argv, "scratch": str(layout.scratch(name)), "out": str(layout.out(name))}
        for name, argv in commands.items()
    ]
    layout.plan.write_text(json.dumps(plan, indent=1))
    _write_settings(layout, spec)


def read_services(layout: Layout) -> dict[str, list[str]]:
    """The commands that run beside Flink's processes, by name."""
    return dict(json.loads(layout.services.read_text())) if layout.services.exists() else {}


def add_service(layout: Layout, name: str, command: list[str]) -> None:
    """Has a command run beside Flink's processes, from the next plan on."""
    layout.services.write_text(json.dumps({**read_services(layout), name: command}, indent=1))


def read_spec(layout: Layout, *, task_managers: int) -> ClusterSpec:
    """The spec that was last started in a folder, with another number of TaskManagers."""
    stored = json.loads(layout.settings.read_text())
    return replace(ClusterSpec(layout.root, **stored), task_managers=task_managers)


def remembered_ports(layout: Layout) -> Mapping[str, int]:
    """The ports that were last used in a folder, by their names in the spec."""
    try:
        stored = json.loads(layout.settings.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return {name: int(stored[name]) for name in PORT_NAMES if stored.get(name)}


def _write_settings(layout: Layout, spec: ClusterSpec) -> None:
    settings = {name: getattr(spec, name) for name in (*PORT_NAMES, "task_managers")}
    layout.settings.write_text(
        json.dumps({**settings, "extra_config": dict(spec.extra_config), "jars": list(map(str, spec.jars))}, indent=1)
    )
