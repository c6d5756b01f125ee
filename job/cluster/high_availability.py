"""High availability by ZooKeeper: a server of Flink's distribution, and a second JobManager that stands by.

Both JobManagers answer at their own REST port, and either passes a request on to the leader. Nothing of it outlives the
cluster: a job ends with it, as without high availability.
"""

import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress

import psutil

from job.cluster.application import Application
from job.cluster.config import LOOPBACK
from job.cluster.java import Java
from job.cluster.jvm import job_manager_command, zookeeper_command
from job.cluster.layout import JOB_MANAGER, STANDBY, ZOOKEEPER, Layout

_TICK_MS = 500
"""ZooKeeper lets a session end after two ticks at the earliest; by default a tick is 2 s."""


def ha_commands(
    java: Java,
    layout: Layout,
    configuration: Mapping[str, str],
    standby_port: int,
    application: Application | None = None,
) -> dict[str, list[str]]:
    """Return the command lines of ZooKeeper and both JobManagers, by name."""
    # Flink passes on to a TaskManager where the leader's code is, so that its port may be any.
    own = {"rest.port": str(standby_port), "blob.server.port": "0"}
    return {
        ZOOKEEPER: zookeeper_command(java, layout, configuration),
        JOB_MANAGER: job_manager_command(java, layout, configuration, application=application),
        STANDBY: job_manager_command(java, layout, configuration, STANDBY, application=application, own=own),
    }


def prepare_zookeeper(layout: Layout, port: int) -> None:
    """Write ZooKeeper's configuration, and remove what an earlier cluster kept in it."""
    for folder in (layout.zookeeper, layout.ha_storage):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    settings = {
        "tickTime": _TICK_MS,
        "initLimit": 10,
        "syncLimit": 5,
        "clientPort": port,
        "clientPortAddress": LOOPBACK,
        "admin.enableServer": "false",
        "dataDir": layout.zookeeper,
    }
    layout.zoo_cfg.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))


def leader(job_managers: Sequence[int], task_managers: Sequence[int]) -> int | None:
    """Return the process id of the JobManager that leads: the one that TaskManagers are connected to; None if none is.

    Args:
        job_managers: process ids of the JobManagers.
        task_managers: process ids of the TaskManagers.
    """
    listening = {port: pid for pid in job_managers for port in _ports(pid, psutil.CONN_LISTEN, remote=False)}
    connected = (port for pid in task_managers for port in _ports(pid, psutil.CONN_ESTABLISHED, remote=True))
    counted = Counter(listening[port] for port in connected if port in listening)
    return counted.most_common(1)[0][0] if counted else None


def _ports(pid: int, status: str, *, remote: bool) -> list[int]:
    found = []
    with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        for each in psutil.Process(pid).net_connections("tcp"):
            address = each.raddr if remote else each.laddr
            if each.status == status and address:
                found.append(address.port)
    return found
