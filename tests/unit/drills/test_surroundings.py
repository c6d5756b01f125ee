"""The small disks, networks and clocks that faults need: real ones, where this machine allows them."""

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from job.drills.clocks import Clocks, why_no_clocks
from job.drills.drill_log import SMOKE
from job.drills.faults import FAULTS
from job.drills.network import JOB_MANAGER, Network, why_no_network
from job.drills.site import Needs
from job.drills.slow_disk import SlowDisk
from job.drills.small_disks import (
    fill,
    make_read_only,
    make_writable,
    release,
    small_disk,
    why_no_mounts,
)
from job.drills.surroundings import clear, surroundings
from job.trial import silent


def allowed(why_not: str | None) -> pytest.MarkDecorator:
    return pytest.mark.skipif(why_not is not None, reason=str(why_not))


mounts, networks, clocks = allowed(why_no_mounts()), allowed(why_no_network()), allowed(why_no_clocks())

_REACHED = "import socket; socket.create_connection(('{address}', {port}), timeout={timeout_s}); print('reached')"
_CLOCKS = "import time, datetime; print(time.time(), datetime.datetime.now().timestamp(), time.monotonic())"
_DAY_S = 86_400


@mounts
def test_a_small_disk_fills_up_and_has_room_again(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 1):
        fill(tmp_path / "disk")
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            (tmp_path / "disk" / "more").write_bytes(b"x" * 8192)
        release(tmp_path / "disk")
        (tmp_path / "disk" / "more").write_bytes(b"x" * 8192)
        (tmp_path / "disk" / "kept").write_bytes(b"y")
    assert (tmp_path / "disk" / "kept").read_bytes() == b"y"
    assert not os.path.ismount(tmp_path / "disk")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["disk"]


@mounts
def test_a_read_only_disk_takes_nothing_until_it_is_writable(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 1):
        with (tmp_path / "disk" / "open").open("w"):
            assert not make_read_only(tmp_path / "disk"), "Linux refuses it while a file is written"
        assert make_read_only(tmp_path / "disk")
        with pytest.raises(OSError, match=os.strerror(errno.EROFS)):
            (tmp_path / "disk" / "more").touch()
        make_writable(tmp_path / "disk")
        (tmp_path / "disk" / "more").touch()


@mounts
def test_a_slow_disk_delays_each_opening_until_it_is_closed(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 1):
        file = tmp_path / "disk" / "file"
        file.touch()
        with SlowDisk(tmp_path / "disk", 0.3) as slow:
            began = time.monotonic()
            subprocess.run(["cat", str(file)], check=True)
            assert time.monotonic() - began >= 0.3
            assert slow.opened == 1
        file.read_bytes()
        assert slow.opened == 1


@mounts
def test_what_a_killed_drill_left_mounted_is_taken_off(tmp_path: Path) -> None:
    for name in ("run-1", "run-10"):
        (tmp_path / name / "disk").mkdir(parents=True)
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", tmp_path / name / "disk"], check=True)
    clear(tmp_path / "run-1")
    assert not os.path.ismount(tmp_path / "run-1" / "disk")
    assert os.path.ismount(tmp_path / "run-10" / "disk")
    clear(tmp_path)
    assert not os.path.ismount(tmp_path / "run-10" / "disk")


def reaches(network: Network, member: int, other: int, port: int, timeout_s: float) -> bool:
    """Whether a TaskManager's namespace reaches a member's address."""
    settings = network.processes()[f"taskmanager-{member - 1}"]
    code = _REACHED.format(address=network.address(other), port=port, timeout_s=timeout_s)
    ended = subprocess.run([*settings.before, sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return ended.stdout == "reached\n"


_LISTEN = """
import socket, sys
server = socket.create_server(('{address}', 0))
print(server.getsockname()[1], flush=True)
sys.stdin.read()
"""


@networks
def test_two_that_are_cut_off_reach_all_others(tmp_path: Path) -> None:
    network = Network(tmp_path, 2)
    with network.up():
        ports, servers = {}, []
        for member in (JOB_MANAGER, 2):
            before = network.processes()["taskmanager-1"].before if member else ()
            command = [*before, sys.executable, "-c", _LISTEN.format(address=network.address(member))]
            server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            servers.append(server)
            assert server.stdout is not None
            ports[member] = int(server.stdout.readline())
        try:
            assert reaches(network, 1, JOB_MANAGER, ports[JOB_MANAGER], 30)
            assert reaches(network, 1, 2, ports[2], 30)
            network.cut(1, 2)
            assert not reaches(network, 1, 2, ports[2], 1)
            assert reaches(network, 1, JOB_MANAGER, ports[JOB_MANAGER], 30)
            network.join(1, 2)
            network.cut(JOB_MANAGER, 1)
            assert reaches(network, 1, 2, ports[2], 30)
            assert not reaches(network, 1, JOB_MANAGER, ports[JOB_MANAGER], 1)
            assert reaches(network, 2, JOB_MANAGER, ports[JOB_MANAGER], 30)
        finally:
            for server in servers:
                server.communicate()
    left = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    assert not reaches(network, 1, 2, ports[2], 1)
    assert Network(tmp_path, 2).processes()["taskmanager-0"].before[1].rpartition("/")[2] not in left


@clocks
def test_a_clock_that_is_set_is_seen_at_once_by_a_living_process_and_no_other(tmp_path: Path) -> None:
    made = Clocks(tmp_path / "clocks")
    processes = made.processes(2)
    loop = f"import sys\nfor _ in sys.stdin:\n    {_CLOCKS.replace('; print', chr(10) + '    print')[:-1]}, flush=True)"
    command = [*processes["taskmanager-0"].before, sys.executable, "-c", loop]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as living:
        assert living.stdin is not None
        assert living.stdout is not None

        def ahead() -> list[float]:
            assert living.stdin is not None
            assert living.stdout is not None
            print(file=living.stdin, flush=True)
            seen = [float(word) for word in living.stdout.readline().split()]
            return [now - real for now, real in zip(seen, (time.time(), time.time(), time.monotonic()), strict=True)]

        assert all(abs(each) < 60 for each in ahead())
        for jump_s in (_DAY_S, -_DAY_S):
            made.set(0, jump_s)
            wall, calendar, steady = ahead()
            assert abs(wall - jump_s) < 60
            assert abs(calendar - jump_s) < 60
            assert abs(steady) < 60
        living.communicate()
    other = [*processes["taskmanager-1"].before, sys.executable, "-c", _CLOCKS]
    now = float(subprocess.run(other, capture_output=True, text=True, check=True).stdout.split()[0])
    assert abs(now - time.time()) < 60


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without any command, on which nothing was fetched."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))


def left_out() -> dict[str, str]:
    return {name: why for name, fault in FAULTS.items() if (why := fault.unavailable())}


@pytest.mark.usefixtures("bare")
def test_without_root_the_faults_that_need_it_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1_000)
    assert {name for name, why in left_out().items() if "root" in why} == {
        "checkpoint-disk-full",
        "checkpoint-disk-read-only",
        "checkpoint-disk-slow",
        "cut-job-manager",
        "cut-task-managers",
    }


@pytest.mark.usefixtures("bare")
def test_without_a_compiler_the_clocks_are_left_out() -> None:
    compiler = {name for name, why in left_out().items() if "compiler" in why}
    assert compiler == {"clock-ahead", "clock-back"}


@pytest.mark.usefixtures("bare")
def test_without_brokers_the_faults_over_kafka_are_left_out() -> None:
    maven = {name for name, why in left_out().items() if "install Maven" in why}
    assert maven == {name for name, fault in FAULTS.items() if fault.needs is Needs.KAFKA} != set()


@pytest.mark.parametrize("needs", [Needs.PLAIN, Needs.REGISTRY, Needs.HIGH_AVAILABILITY])
def test_most_faults_need_nothing_around_the_cluster(needs: Needs, tmp_path: Path) -> None:
    with surroundings(needs, tmp_path, SMOKE, silent) as around:
        assert (around.extra_config, around.processes, around.metrics_port) == ({}, {}, None)
    assert list(tmp_path.iterdir()) == []
