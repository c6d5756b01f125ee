"""Damaged files of a cluster, a broker or the tables: one sentence that names the file and what to do."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from job.cluster import find, supervisor
from job.cluster.application import end_of
from job.cluster.config import java_options
from job.cluster.errors import ClusterError
from job.cluster.layout import Layout
from job.cluster.plan import read_services, read_spec
from job.kafka import broker
from job.tables import duck
from job.tables.files import reading
from job.tables.lineage import read_lineage
from job.tables.titles import read_titles
from job.tables.withdrawn import read_withdrawn
from model.errors import RecloopError
from model.file_lock import try_lock
from model.waiting import wait_until

DAMAGED = [b"\0", b"{", b"5", b"[null]", b'{"\xff": 1}', b"[" * 100_000]
STATE = b'{"pid": 1, "members": []}'


class Reader(NamedTuple):
    """A reader of a file, and what its error has to advise."""

    file: str
    advice: str
    read: Callable[[Path], object]


def read_journal(tables_dir: Path) -> None:
    with reading(tables_dir):
        pass


READERS = {
    "the supervisor's report": Reader("state.json", "recloop cluster stop", find),
    "a running cluster's ports": Reader("cluster.json", "recloop cluster stop", find),
    "a spec to scale": Reader(
        "cluster.json", "recloop cluster stop", lambda folder: read_spec(Layout(folder), task_managers=1)
    ),
    "an application's end": Reader("ended.json", "recloop cluster stop", lambda folder: end_of(Layout(folder))),
    "services": Reader("services.json", "recloop cluster stop", lambda folder: read_services(Layout(folder))),
    "Flink's own configuration": Reader("conf/config.yaml", "install apache-flink again", java_options),
    "a broker's record": Reader("broker.json", "delete the file", broker.find),
    "a swap's journal": Reader(".swap.json", "delete it", read_journal),
    "withdrawn items": Reader(".withdrawn.json", "recloop deploy", read_withdrawn),
    "withdrawn items of a query": Reader(
        ".withdrawn.json", "recloop deploy", lambda folder: duck.query(folder, "SELECT 1")
    ),
    "titles": Reader("items.jsonl", "prepare the data set again", read_titles),
    "attempts": Reader("part-a-0", "restore it", lambda folder: read_lineage([folder / "part-a-0"])),
}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder whose supervisor seems to live."""
    (tmp_path / "conf").mkdir()
    (tmp_path / "state.json").write_bytes(STATE)
    with (tmp_path / "supervisor.lock").open("w") as lock:
        assert try_lock(lock)
        yield tmp_path


@pytest.mark.parametrize("content", DAMAGED, ids=lambda content: repr(content[:12]))
@pytest.mark.parametrize("name", READERS)
def test_a_damaged_file_is_one_sentence_that_names_it_and_what_to_do(name: str, content: bytes, folder: Path) -> None:
    file, advice, read = READERS[name]
    (folder / file).write_bytes(content)
    with pytest.raises(RecloopError) as raised:
        read(folder)
    assert str(folder / file) in str(raised.value)
    assert advice in str(raised.value)
    assert "\n" not in str(raised.value)


def test_what_is_missing_is_not_damaged(tmp_path: Path) -> None:
    assert find(tmp_path) is None
    assert broker.find(tmp_path) is None
    assert read_services(Layout(tmp_path)) == {}
    assert read_withdrawn(tmp_path) == ()
    read_journal(tmp_path)


@pytest.mark.parametrize("ports", [None, b'{"rest_port": null, "rpc_port": 1, "blob_port": 2, "task_managers": 1}'])
def test_a_running_cluster_without_its_ports_is_ended_and_started_again(ports: bytes | None, folder: Path) -> None:
    if ports is not None:
        (folder / "cluster.json").write_bytes(ports)
    with pytest.raises(ClusterError, match=r"cluster\.json is .*recloop cluster stop --dir"):
        find(folder)


def supervise(folder: Path) -> "subprocess.Popen[str]":
    """Start a supervisor; its output ends with it, though the process that is started ends at once."""
    command = [sys.executable, "-I", supervisor.__file__, str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.mark.parametrize("content", DAMAGED, ids=lambda content: repr(content[:12]))
def test_a_supervisor_that_cannot_read_its_plan_says_so_and_ends(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_bytes(content)
    output, _ = supervise(tmp_path).communicate(timeout=60)
    assert output.startswith(f"{tmp_path / 'plan.json'} cannot be read")
    assert "recloop cluster start" in output
    assert output.count("\n") == 1


def test_a_supervisor_goes_on_with_its_plan_where_the_next_one_is_damaged(tmp_path: Path) -> None:
    plan, state = tmp_path / "plan.json", tmp_path / "state.json"
    member = {"name": "sleeper", "argv": ["sleep", "60"], "scratch": str(tmp_path / "s"), "out": str(tmp_path / "out")}
    plan.write_bytes(json.dumps([member]).encode())
    started = supervise(tmp_path)
    assert wait_until(state.exists, timeout_s=30, poll_s=0.02)
    pid = json.loads(state.read_bytes())["pid"]
    plan.write_bytes(b"{")
    os.kill(pid, signal.SIGHUP)
    assert started.stdout is not None
    assert started.stdout.readline().startswith(f"{plan} cannot be read")
    assert [each["name"] for each in json.loads(state.read_bytes())["members"] if each["pid"]] == ["sleeper"]
    os.kill(pid, signal.SIGTERM)
    started.communicate(timeout=60)
