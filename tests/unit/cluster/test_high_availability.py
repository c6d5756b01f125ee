"""A cluster with two JobManagers: its settings, its commands, and which of the two leads."""

import os
import socket
from pathlib import Path

from job.cluster import ClusterSpec
from job.cluster.config import flink_configuration
from job.cluster.high_availability import ha_commands, leader, prepare_zookeeper
from job.cluster.java import Java
from job.cluster.layout import Layout, flink_home
from job.cluster.plan import read_spec, write_plan
from job.cluster.ports import with_ports

JAVA_17 = Java(Path("/jdk"), 17)


def test_with_high_availability_zookeeper_and_a_second_job_manager_have_ports_of_their_own(tmp_path: Path) -> None:
    plain = with_ports(ClusterSpec(tmp_path), {})
    assert plain.zookeeper_port is None
    assert not any(key.startswith("high-availability") for key in flink_configuration(plain))

    spec = with_ports(ClusterSpec(tmp_path, high_availability=True), {"zookeeper_port": 20007})
    configuration = flink_configuration(spec)

    ports = [spec.rest_port, spec.rpc_port, spec.blob_port, spec.standby_port, spec.zookeeper_port]
    assert len(set(ports)) == 5
    assert configuration["high-availability.zookeeper.quorum"] == f"127.0.0.1:{spec.zookeeper_port}"
    commands = ha_commands(JAVA_17, Layout(tmp_path), configuration, 20009)
    assert list(commands) == ["zookeeper", "jobmanager", "jobmanager-standby"]
    assert "rest.port=20009" in commands["jobmanager-standby"]
    logs = {word for command in commands.values() for word in command if word.startswith("-Drecloop.log.file=")}
    assert len(logs) == 3


def test_zookeeper_begins_empty(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.conf.mkdir()
    layout.zookeeper.mkdir()
    (layout.zookeeper / "of an earlier cluster").touch()

    prepare_zookeeper(layout, 20007)

    assert list(layout.zookeeper.iterdir()) == []
    assert "clientPort=20007\nclientPortAddress=127.0.0.1\n" in layout.zoo_cfg.read_text()


def test_the_plan_has_all_processes_and_is_remembered(tmp_path: Path) -> None:
    spec = with_ports(ClusterSpec(tmp_path, task_managers=2, high_availability=True), {})
    layout = Layout(tmp_path)
    layout.conf.mkdir()

    write_plan(spec, JAVA_17, flink_home())

    assert read_spec(layout, task_managers=2) == spec
    names = [line.split('"')[3] for line in layout.plan.read_text().splitlines() if '"name"' in line]
    assert names == [
        "zookeeper",
        "jobmanager",
        "jobmanager-standby",
        "taskmanager-0",
        "taskmanager-1",
        "python-workers",
        "metrics-gateway",
    ]


def test_the_one_that_task_managers_are_connected_to_leads() -> None:
    me, other = os.getpid(), os.getppid()
    assert leader([me], [me]) is None
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert leader([other, me], [me]) is None
        with socket.create_connection(server.getsockname()):
            assert leader([other, me], [me]) == me
            assert leader([other], [me]) is None
