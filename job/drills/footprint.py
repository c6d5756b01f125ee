"""The footprint of a cluster on its machine: processes by kind, listening ports, memory."""

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress

import psutil

from job.cluster.layout import Layout
from job.cluster.processes import marked
from job.drills.evidence import Footprint

WORKER = "Python worker"
_KINDS = {
    "TaskManagerRunner": "TaskManager",
    "ClusterEntrypoint": "JobManager",
    "QuorumPeer": "ZooKeeper",
    "beam_boot": WORKER,
    "worker_start.py": WORKER,
    "worker_forks": WORKER,
    "supervisor.py": "supervisor",
}
"""A part of a command line -> the kind of process; all others count as one kind."""
_GONE = (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess)


def footprint(layout: Layout) -> Footprint:
    """Measure the cluster in a state folder."""
    return _measured(marked(layout))


def kind_of(command: Sequence[str]) -> str:
    """Return the kind of a process by its command line."""
    words = " ".join(command)
    return next((kind for part, kind in _KINDS.items() if part in words), "other")


def _measured(processes: Iterable[psutil.Process]) -> Footprint:
    kinds: Counter[str] = Counter()
    ports, memory = 0, 0
    for process in processes:
        with suppress(*_GONE):
            command, private = process.cmdline(), process.memory_full_info().uss
            listening = sum(each.status == psutil.CONN_LISTEN for each in process.net_connections("tcp"))
            kinds[kind_of(command)] += 1
            ports, memory = ports + listening, memory + private
    return Footprint(processes=dict(kinds), ports=ports, memory_mb=memory / 2**20)
