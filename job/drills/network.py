"""A network of a drill's own: each TaskManager in a network namespace, the JobManager outside, and a switch between.

Flink's REST interface stays on loopback. Two that are cut off from each other reach all others.
"""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from job.cluster.layout import task_manager_name
from job.cluster.spec import ProcessSettings
from job.drills.errors import DrillError

JOB_MANAGER = 0
"""The JobManager's number; TaskManager N has the number N + 1."""
_FIRST, _LAST = 1, 250
_INSIDE = "eth0"
_BRIDGE = "br0"


def why_no_network() -> str | None:
    """Return why this process cannot make network namespaces; None if it can."""
    if os.geteuid() != 0:
        return "only root may make network namespaces"
    missing = [name for name in ("ip", "nsenter") if shutil.which(name) is None]
    if missing:
        return f"there is no command {missing[0]} here (packages iproute2 and util-linux)"
    name = f"recloop-{os.getpid()}"
    if (made := _ip("netns", "add", name)).returncode:
        return f"network namespaces cannot be made: {made.stderr.strip()}"
    _ip("netns", "del", name)
    return None


class Network:
    """The network of a run in a folder, of which its names and its addresses follow.

    The addresses are of 198.18.0.0/16, which is for tests of networks (RFC 2544) and routed nowhere.
    """

    def __init__(self, folder: Path, task_managers: int = 0) -> None:
        digest = hashlib.sha256(os.fsencode(folder.absolute())).digest()
        self._name = f"rl{digest[:4].hex()}"
        self._subnet = f"198.18.{digest[4]}"
        self._members = range(task_managers + 1)

    def address(self, member: int) -> str:
        """Return the address of the JobManager or a TaskManager by its number."""
        return f"{self._subnet}.{_FIRST + member}"

    def configuration(self) -> Mapping[str, str]:
        """Return the settings that move the JobManager to its address."""
        own = self.address(JOB_MANAGER)
        return {"jobmanager.rpc.address": own, "jobmanager.bind-host": own}

    def processes(self) -> Mapping[str, ProcessSettings]:
        """Return the settings of each TaskManager by its name: its namespace, and its address."""
        return {
            task_manager_name(member - 1): ProcessSettings(
                before=("nsenter", f"--net=/run/netns/{self._namespace(member)}"),
                extra_config={"taskmanager.host": self.address(member), "taskmanager.bind-host": self.address(member)},
            )
            for member in self._members
            if member != JOB_MANAGER
        }

    @contextmanager
    def up(self) -> Iterator[None]:
        """Make the network, and remove it after the block.

        Raises:
            DrillError: it cannot be made.
        """
        self.remove()
        try:
            _must("netns", "add", self._switch)
            _must("-n", self._switch, "link", "add", _BRIDGE, "type", "bridge")
            _must("-n", self._switch, "link", "set", _BRIDGE, "up")
            for member in self._members:
                self._connect(member)
            yield
        finally:
            self.remove()

    def remove(self) -> None:
        """Remove the network, as far as it is there."""
        _ip("link", "del", self._name)
        there = _ip("netns", "list").stdout.splitlines()
        for name in (line.partition(" ")[0] for line in there):
            if name.startswith(f"{self._name}-"):
                _must("netns", "del", name)

    def cut(self, one: int, other: int) -> None:
        """Let no packet through between two members, without a word to either."""
        self._isolate(one, other, state="on")

    def join(self, one: int, other: int) -> None:
        """Undo `cut`."""
        self._isolate(one, other, state="off")

    @property
    def _switch(self) -> str:
        return f"{self._name}-switch"

    def _namespace(self, member: int) -> str:
        return f"{self._name}-{member}"

    def _isolate(self, *members: int, state: str) -> None:
        # A switch passes nothing between two isolated ports.
        for member in members:
            _must("-n", self._switch, "link", "set", f"port{member}", "type", "bridge_slave", "isolated", state)

    def _connect(self, member: int) -> None:
        """Plug a member into the switch: the JobManager from here, a TaskManager from a namespace of its own."""
        here = member == JOB_MANAGER
        inside = [] if here else ["-n", self._namespace(member)]
        link = self._name if here else _INSIDE
        if not here:
            _must("netns", "add", self._namespace(member))
            _must(*inside, "link", "set", "lo", "up")
        _must(*inside, "link", "add", link, "type", "veth", "peer", "name", f"port{member}", "netns", self._switch)
        _must(*inside, "addr", "add", f"{self.address(member)}/24", "dev", link)
        _must(*inside, "link", "set", link, "up")
        _must("-n", self._switch, "link", "set", f"port{member}", "master", _BRIDGE)
        _must("-n", self._switch, "link", "set", f"port{member}", "up")


def _ip(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["ip", *words], capture_output=True, text=True, check=False)


def _must(*words: str) -> None:
    if (ended := _ip(*words)).returncode:
        msg = f"ip {' '.join(words)} failed: {ended.stderr.strip()}"
        raise DrillError(msg)
