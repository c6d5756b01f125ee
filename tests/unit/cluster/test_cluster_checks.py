"""Clusters on which the job would fail later: each fault is told with its mend, and no good cluster is refused."""

import json
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import pytest

from job.cluster import FlinkRest, UnfitClusterError
from job.cluster.records import RegisteredTaskManager, Resources
from job.cluster.task_manager_python import ask, environment_of, path_fault
from job.commands.cluster import advise
from job.commands.output import Screen
from job.deployment.cluster_checks import advice, check_cluster
from job.settings.job_settings import load
from tests.unit.cluster.web import Page, Web, web

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
PARENT_FIRST = "classloader.parent-first-patterns.additional"
CHECKPOINTS = "execution.checkpointing.dir"


@dataclass
class Flink:
    """What a cluster says of itself; with `log` its one TaskManager does too."""

    flink: str = field(default_factory=lambda: version("apache-flink"))
    jars: tuple[str, ...] = ("flink-cep-2.3.0.jar", "flink-python-2.3.0.jar", "flink-dist-2.3.0.jar")
    configuration: dict[str, str] = field(default_factory=lambda: {PARENT_FIRST: "pemja", CHECKPOINTS: "file:///chk"})
    log: str | None = None

    slots: int = 1

    def pages(self) -> dict[str, Page]:
        overview = {"flink-version": self.flink, "taskmanagers": 1, "slots-total": 1, "slots-available": 1}
        resource = {"cpuCores": 1, "taskHeapMemory": 1, "taskOffHeapMemory": 0, "managedMemory": 1}
        task_manager = {
            "id": "tm-1",
            "path": "pekko.tcp://flink@no-such-host.invalid:1/user/rpc/taskmanager_0",
            "slotsNumber": self.slots,
            "freeSlots": self.slots,
            "timeSinceLastHeartbeat": 0,
            "totalResource": {**resource, "extendedResources": {}},
        }
        answers = {
            "/overview": {**overview, "jobs-running": 0},
            "/taskmanagers": {"taskmanagers": [task_manager]},
            "/jobmanager/config": [{"key": key, "value": value} for key, value in self.configuration.items()],
            "/jobmanager/environment": {"classpath": [f"/opt/flink/lib/{jar}" for jar in self.jars]},
        }
        pages = {path: Page(json.dumps(answer).encode()) for path, answer in answers.items()}
        return pages if self.log is None else {**pages, "/taskmanagers/tm-1/log": Page(self.log.encode())}


@pytest.fixture
def server() -> Iterator[Web]:
    with web() as server:
        yield server


def faults(server: Web, flink: Flink, *settings: str) -> list[str]:
    server.pages = flink.pages()
    with FlinkRest(server.url) as rest:
        try:
            check_cluster(rest, load(overrides=["lists.policy=history", *settings]))
        except UnfitClusterError as error:
            return str(error).splitlines()[1:]
    return []


def started(jars: str = "flink-python-2.3.0.jar:/opt/flink/lib/flink-dist.jar", pemja: str = "pemja") -> str:
    """The beginning of a TaskManager's log."""
    return (
        f"logs: INFO  [] - Loading configuration property: {PARENT_FIRST}, {pemja}\n"
        "INFO  [] - Loading configuration property: taskmanager.numberOfTaskSlots, 1\n"
        f"2026-11-30 07:07:00,897 INFO  org.apache.flink.Runner [] -  Classpath: /opt/flink/lib/{jars}\n"
    )


GOOD = [
    Flink(),
    Flink(log=started()),
    Flink(log=""),
    Flink(configuration={PARENT_FIRST: "org.shop;pemja.", CHECKPOINTS: "s3://c"}),
    Flink(configuration={PARENT_FIRST: "['org.shop', 'pemja']", CHECKPOINTS: "s3://c"}),
    Flink(configuration={"classloader.resolve-order": "parent-first", "state.checkpoints.dir": "hdfs:///c"}),
    Flink(configuration={CHECKPOINTS: "file:///chk"}, log=started()),
    Flink(flink=f"{version('apache-flink').rpartition('.')[0]}-SNAPSHOT"),
]


@pytest.mark.parametrize("flink", GOOD)
def test_a_cluster_that_has_all_is_taken(server: Web, flink: Flink) -> None:
    assert faults(server, flink) == []


BAD = {
    "as unpacked": (Flink(jars=("flink-dist-2.3.0.jar",)), ["opt/", "lib/", "JobManager"]),
    "one TaskManager as unpacked": (Flink(log=started("flink-dist-2.3.0.jar")), ["flink-python", "TaskManager tm-1"]),
    "no line for pemja": (Flink(configuration={CHECKPOINTS: "file:///c"}), [f"{PARENT_FIRST}: pemja"]),
    "another line": (Flink(configuration={CHECKPOINTS: "file:///c", PARENT_FIRST: "org.pemja"}), ["pemja"]),
    "a TaskManager without the line": (Flink(log=started(pemja="org.x")), ["tm-1", f"{PARENT_FIRST}: pemja"]),
    "no checkpoint folder": (Flink(configuration={PARENT_FIRST: "pemja"}), [CHECKPOINTS]),
    "checkpoints on the heap": (
        Flink(
            configuration={
                PARENT_FIRST: "pemja",
                CHECKPOINTS: "s3://c",
                "execution.checkpointing.storage": "jobmanager",
            }
        ),
        ["heap", CHECKPOINTS],
    ),
    "an older Flink": (Flink(flink="1.20.1"), ["1.20.1", version("apache-flink")]),
    "a newer Flink": (Flink(flink="2.30.0"), ["2.30.0", "install apache-flink 2.30"]),
}


@pytest.mark.parametrize("name", BAD)
def test_a_fault_is_told_with_its_mend(server: Web, name: str) -> None:
    flink, words = BAD[name]

    (fault,) = faults(server, flink)

    assert all(word in fault for word in words), fault


def test_all_faults_are_told_at_once_and_nothing_is_changed(server: Web) -> None:
    bad = Flink(flink="1.20.1", jars=(), configuration={})

    assert len(faults(server, bad)) == 4
    assert not [path for path in server.asked if "jobs" in path]


def test_the_native_connector_needs_its_jar(server: Web) -> None:
    native = ("log.kind=kafka", "kafka.connector=native", "kafka.brokers=b:9092", "log.topic=t")
    jars = (*Flink().jars, "flink-sql-connector-kafka-5.0.0-2.2.jar")

    assert "recloop kafka connector" in faults(server, Flink(), *native)[0]
    assert faults(server, Flink(jars=jars), *native) == []
    assert faults(server, Flink(), "log.kind=kafka", "kafka.brokers=b:9092", "log.topic=t") == []


def test_slots_that_share_an_interpreter_are_advised_against() -> None:
    resources = Resources(cpu_cores=1, task_heap_mb=1, task_off_heap_mb=0, managed_mb=1, external={})

    def with_slots(slots: int) -> list[RegisteredTaskManager]:
        return [RegisteredTaskManager("a", slots, slots, 0, resources)]

    assert advice(with_slots(1)) is None
    assert advice([]) is None
    assert "taskmanager.numberOfTaskSlots: 1" in str(advice(with_slots(4)))


@pytest.mark.parametrize("slots", [1, 4])
def test_advice_is_told_once_and_refuses_nothing(
    server: Web, slots: int, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    assert faults(server, Flink(slots=slots)) == []
    assert sum(record.levelno >= logging.WARNING for record in caplog.records) == (slots > 1)

    advise(Screen(stderr=True), server.url)
    assert capsys.readouterr().err.count("numberOfTaskSlots") == (slots > 1)


def test_a_cluster_that_does_not_answer_gets_no_advice(server: Web, capsys: pytest.CaptureFixture[str]) -> None:
    server.pages, server.otherwise = {}, Page(b"<html>")

    advise(Screen(stderr=True), server.url)
    assert capsys.readouterr() == ("", "")


def fake_python(folder: Path, prints: str) -> str:
    """A program named python3 that answers as another Python would; returns a PATH with it."""
    folder.mkdir(parents=True)
    (folder / "python3").write_text(f"#!/bin/sh\n{prints}\n")
    (folder / "python3").chmod(0o755)
    return str(folder)


def test_the_python_on_a_path_is_asked(tmp_path: Path) -> None:
    other = fake_python(tmp_path / "other", "echo 3.99")
    bare = fake_python(tmp_path / "bare", f"echo {HERE} pemja pyflink")
    broken = fake_python(tmp_path / "broken env", "exit 3")
    own = str(Path(sys.executable).parent)

    assert path_fault({"PATH": own}) is None
    assert f"Python 3.99 there, {HERE} here" in str(path_fault({"PATH": f"{other}:{own}"}))
    assert "has no pemja, pyflink" in str(path_fault({"PATH": bare}))
    assert "does not run" in str(path_fault({"PATH": broken}))
    assert "no python3" in str(path_fault({"PATH": str(tmp_path)}))
    assert own in str(path_fault({"PATH": other}))
    assert ask(sys.executable, os.environ) == ask(f"{own}/python3", os.environ)


def test_a_process_of_this_machine_tells_its_environment() -> None:
    script = "import socket; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", script],
        env={"PATH": "/of/a/taskmanager"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        found = environment_of(f"pekko.tcp://flink@127.0.0.1:{port}/user/rpc/taskmanager_0")
        process.communicate("\n")

    assert found is not None
    assert found["PATH"] == "/of/a/taskmanager"


def test_who_is_elsewhere_tells_none() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    for address in (f"pekko.tcp://flink@127.0.0.1:{port}/user", "pekko.tcp://flink@192.0.2.1:5/user", "", "odd"):
        assert environment_of(address) is None
