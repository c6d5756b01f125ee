"""A real cluster: started, killed in part, and stopped without a trace."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner

from job.cluster import ClusterSpec, RunningCluster, StartFailedError, find, start, stop
from job.cluster.layout import Layout
from job.cluster.processes import marked, read_state
from job.commands.cluster import app
from tests.job.waiting import wait_until

pytestmark = pytest.mark.cluster
READY_S = 180.0  # a machine that runs much else beside
BROKEN = {"jobmanager.memory.jvm-metaspace.size": "1k"}


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCluster]:
    """A cluster that these tests may ill-treat."""
    directory = tmp_path_factory.mktemp("own")
    yield start(ClusterSpec(directory, task_managers=2), timeout_s=READY_S)
    stop(directory)


def group_members(group: int) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return found


def test_all_task_managers_are_registered(own: RunningCluster) -> None:
    with own.rest() as rest:
        overview = rest.overview()

    assert (overview.task_managers, overview.slots_total) == (2, 2)
    assert [each.resource_id for each in own.task_managers()] == ["taskmanager-0-1", "taskmanager-1-1"]


def test_only_loopback_is_listened_on(own: RunningCluster) -> None:
    pids = [own.job_manager_pid, *(each.pid for each in own.task_managers())]
    listening = [
        connection.laddr.ip
        for pid in pids
        for connection in psutil.Process(pid).net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    ]

    assert listening
    assert {address.removeprefix("::ffff:") for address in listening} == {"127.0.0.1"}


def test_starting_again_gives_the_running_cluster(own: RunningCluster) -> None:
    began = time.monotonic()

    assert start(ClusterSpec(own.directory)) == own
    assert time.monotonic() - began < 5
    assert "already runs" in CliRunner().invoke(app, ["start", "--dir", str(own.directory)]).output


def test_status_tells_the_processes(own: RunningCluster) -> None:
    result = CliRunner().invoke(app, ["status", "--json", "--dir", str(own.directory)])

    told = json.loads(result.output)
    assert told["state"] == "ready"
    assert told["rest_url"] == own.rest_url
    assert psutil.Process(told["task_managers"][1]["pid"]).name() == "java"


def test_a_killed_task_manager_is_replaced_and_its_group_ended(own: RunningCluster) -> None:
    old = own.task_managers()[0]
    assert old.pgid is not None

    own.kill_task_manager(0)
    own.wait_until_ready(timeout_s=READY_S)
    new = own.task_managers()[0]

    assert new.incarnation == old.incarnation + 1
    assert new.resource_id == f"taskmanager-0-{new.incarnation}"
    assert group_members(old.pgid) == []


def test_task_managers_register_again_with_a_new_job_manager(own: RunningCluster) -> None:
    old = own.job_manager_pid
    assert old is not None

    os.kill(old, signal.SIGKILL)
    wait_until(lambda: own.job_manager_pid not in (None, old), timeout_s=READY_S, what="a new one", poll_s=0.02)
    own.wait_until_ready(timeout_s=READY_S)

    assert all(each.resource_id for each in own.task_managers())


def test_a_command_is_supervised_beside_flink(own: RunningCluster) -> None:
    name, command = "waits", [sys.executable, "-c", "import time; time.sleep(600)"]
    own.supervise(name, command)
    own.supervise(name, command)
    first = pid_of(own, name)
    assert first is not None, "it runs when supervise() returns"
    os.kill(first, signal.SIGKILL)

    wait_until(lambda: pid_of(own, name) not in {first, None}, timeout_s=10, what="another start", poll_s=0.05)
    second = pid_of(own, name)
    assert len(own.task_managers()) == 2, "it is no TaskManager"
    assert second is not None
    assert psutil.pid_exists(second)


def pid_of(cluster: RunningCluster, name: str) -> int | None:
    state = read_state(cluster.layout)
    member = state.member(name) if state else None
    return member.pid if member else None


def test_scaling_changes_the_number_of_task_managers(own: RunningCluster) -> None:
    own.scale(1)
    own.wait_until_ready(timeout_s=READY_S)

    assert [each.index for each in own.task_managers()] == [0]


def test_stopping_ends_all_processes_also_without_a_supervisor(own: RunningCluster) -> None:
    layout = Layout(own.directory)
    os.kill(own.supervisor_pid, signal.SIGKILL)

    assert stop(own.directory) >= 2
    assert marked(layout) == []
    assert find(own.directory) is None


def test_a_start_that_fails_tells_the_logs_line_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(StartFailedError, match=r"(?s)jobmanager ended with status 1.*jobmanager\.out:\d+: .*Metaspace"):
        start(ClusterSpec(tmp_path, extra_config=BROKEN), timeout_s=READY_S)

    assert marked(Layout(tmp_path)) == []


def test_a_start_that_is_broken_off_leaves_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "job.cli", "cluster", "start", "--dir", str(tmp_path), "--timeout", "180"]
    layout = Layout(tmp_path)
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as starting:
        wait_until(layout.state.exists, timeout_s=READY_S, what="a supervisor", poll_s=0.02)
        starting.send_signal(signal.SIGINT)
        assert starting.wait(READY_S) != 0

    assert marked(layout) == []
