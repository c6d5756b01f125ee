"""Start and stop of a local cluster; a start that failed or was broken off leaves nothing running."""

import os
import time
from pathlib import Path

from job.cluster.errors import StartFailedError
from job.cluster.gpus import write_discovery_script
from job.cluster.high_availability import prepare_zookeeper
from job.cluster.java import find_java
from job.cluster.jvm import environment
from job.cluster.layout import Layout, flink_home
from job.cluster.plan import remembered_ports, write_plan
from job.cluster.ports import with_ports
from job.cluster.processes import end_all, exclusive, marked, start_supervisor, sweep
from job.cluster.python_workers import write_runner
from job.cluster.running import Progress, RunningCluster, find
from job.cluster.spec import ClusterSpec
from model.folders import FolderKind, claim_folder, is_of_kind
from model.waiting import wait_until

_POLL_S = 0.02
_SUPERVISOR_S = 10.0
_STATE = FolderKind("a cluster's state folder", "supervisor.lock", frozenset(), ("*",))


def start(spec: ClusterSpec, *, timeout_s: float = 60.0, on_progress: Progress | None = None) -> RunningCluster:
    """Start a cluster and wait until it is ready; one that already runs is returned as it is.

    Args:
        spec: the cluster that is wanted.
        timeout_s: how long it may take until every TaskManager is registered.
        on_progress: called with a short message about the current wait.

    Raises:
        JavaNotFoundError: if there is no Java that runs Flink.
        SettingRefusedError: if a GPU that a TaskManager is to see is not there.
        NotOursError: if the folder holds something else.
        StartFailedError: if a port is taken, a process died or time ran out.
        ClusterError: if a cluster runs there, and a record of it is damaged or missing.
    """
    layout = Layout(spec.directory)
    prepare_folder(layout.root)
    with exclusive(layout):
        if (running := find(spec.directory)) is not None:
            return running
        sweep(layout)
        try:
            return _start(spec, layout, timeout_s, on_progress or (lambda _: None))
        except BaseException:
            end_all(layout)
            raise


def prepare_folder(directory: Path) -> None:
    """Make a cluster's state folder, or take the one that is there.

    Raises:
        NotOursError: the folder holds something else.
    """
    claim_folder(directory, _STATE)


def stop(directory: Path) -> int:
    """End every living process of the cluster in a folder; do nothing if the folder is no cluster's.

    Returns:
        The number of processes.
    """
    layout = Layout(Path(directory).absolute())
    if not is_of_kind(layout.root, _STATE) and not marked(layout):
        return 0
    with exclusive(layout):
        return end_all(layout)


def _start(spec: ClusterSpec, layout: Layout, timeout_s: float, on_progress: Progress) -> RunningCluster:
    began = time.monotonic()
    java, home = find_java(os.environ), flink_home()
    on_progress(f"Java {java.version} from {java.home}")
    chosen = with_ports(spec, remembered_ports(layout))
    layout.prepare(home, spec.jars, json_logs=spec.json_logs)
    write_discovery_script(layout.gpu_discovery, spec.gpus)
    write_runner(layout, home)
    if chosen.high_availability:
        prepare_zookeeper(layout, chosen.zookeeper_port or 0)
    for left in (layout.services, layout.ended):
        left.unlink(missing_ok=True)
    write_plan(chosen, java, home)
    start_supervisor(layout, environment(java, layout, home))
    running = wait_until(lambda: find(layout.root), timeout_s=_SUPERVISOR_S, poll_s=_POLL_S)
    if running is None:
        msg = f"the cluster did not start: no supervisor; see {layout.log('supervisor')}"
        raise StartFailedError(msg)
    running.wait_for_registration(timeout_s - (time.monotonic() - began), on_progress, forgive_deaths=False)
    return running
