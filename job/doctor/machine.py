"""Checks of this machine: memory, disks, limits, and the ports that a local cluster takes."""

import os
import resource
from collections.abc import Iterator
from pathlib import Path

import psutil

from job.cluster import ClusterSpec, find
from job.cluster.config import flink_configuration
from job.cluster.jvm import size_bytes
from job.cluster.layout import Layout
from job.cluster.plan import remembered_ports
from job.cluster.ports import port_is_free
from job.doctor.finding import Finding, Setup, advice, fault, ok
from job.settings.job_settings import JobSettings

_GIB = 2**30
_TASK_MANAGER = tuple(
    f"taskmanager.memory.{part}"
    for part in (
        "framework.heap.size",
        "task.heap.size",
        "managed.size",
        "framework.off-heap.size",
        "task.off-heap.size",
        "network.max",
        "jvm-metaspace.size",
        "jvm-overhead.max",
    )
)
_JOB_MANAGER = ("jobmanager.memory.heap.size", "jobmanager.memory.jvm-metaspace.size")
_WORKER_BYTES = 950 * 10**6
"""Resident memory of the workers beside a TaskManager, as docs/bench.md measured it, with the default kept_mb in it."""
_KEPT_BY_DEFAULT_MB = 256
_LOW_DISK, _LEAST_DISK = 5 * _GIB, 1 * _GIB
_LEAST_FILES_LEFT = 10_000
_FEW_FILES, _LEAST_FILES = 4_096, 1_024


def check_memory(setup: Setup) -> Iterator[Finding]:
    """Compare the memory that a local cluster for the job takes with what the machine has."""
    if setup.jobmanager is None:
        yield memory_finding(needed_bytes(setup.settings), psutil.virtual_memory().total, setup.settings.slots)


def needed_bytes(settings: JobSettings) -> int:
    """Return the memory of a JobManager, and of a TaskManager and its Python workers for each slot of the job."""
    configuration = flink_configuration(ClusterSpec())
    task_manager, job_manager = (
        sum(size_bytes(configuration, key) for key in keys) for keys in (_TASK_MANAGER, _JOB_MANAGER)
    )
    scoring = settings.scoring
    worker = _WORKER_BYTES + (scoring.kept_mb - _KEPT_BY_DEFAULT_MB + scoring.score_cache_mb) * 2**20
    return job_manager + settings.slots * (task_manager + worker)


def memory_finding(needed: int, total: int, slots: int) -> Finding:
    """Return the finding about a machine's memory."""
    text = f"{slots} TaskManager(s) and a JobManager take up to {needed / _GIB:.1f} GiB of {total / _GIB:.1f} GiB"
    if needed <= 0.9 * total:
        return ok(text)
    return advice(text, "a smaller flink.parallelism or scoring.kept_mb, or a larger machine")


def check_disk(setup: Setup) -> Iterator[Finding]:
    """Look at the free space where the job and the cluster write, each file system once."""
    settings = setup.settings
    seen: set[int] = set()
    for folder in (settings.tables.folder, settings.log.folder, setup.cluster.absolute(), Path("/tmp")):
        place = nearest(folder)
        if (device := place.stat().st_dev) in seen:
            continue
        seen.add(device)
        found = os.statvfs(place)
        yield disk_finding(place, found.f_bavail * found.f_frsize, found.f_favail if found.f_files else None)


def disk_finding(place: Path, free: int, files: int | None) -> Finding:
    """Return the finding about the free bytes and files of a file system; None if it sets no bound on files."""
    text = f"{free / _GIB:.1f} GiB free for {place}"
    if files is not None and files < _LEAST_FILES_LEFT:
        return fault(f"room for {files:,} more files only at {place}", "remove small files, or use another file system")
    if free >= _LOW_DISK:
        return ok(text)
    mend = "make room: checkpoints, tables and logs grow, and a checkpoint that finds no room fails"
    return (fault if free < _LEAST_DISK else advice)(text, mend)


def check_open_files(_setup: Setup) -> Iterator[Finding]:
    """Look at the number of files that a process may have open."""
    yield open_files_finding(resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def open_files_finding(limit: int) -> Finding:
    """Return the finding about a limit of open files; RLIM_INFINITY sets none."""
    if limit == resource.RLIM_INFINITY or limit >= _FEW_FILES:
        return ok("enough open files per process")
    text = f"a process may have {limit:,} files open, and RocksDB keeps hundreds for each operator"
    return (fault if limit < _LEAST_FILES else advice)(text, "ulimit -n 65536, before the cluster is started")


def check_ports(setup: Setup) -> Iterator[Finding]:
    """Find the ports of the local cluster that somebody else has taken while it was stopped."""
    if setup.jobmanager is not None:
        return
    if find(setup.cluster) is not None:
        yield ok(f"the cluster in {setup.cluster} runs")
        return
    ports = {name: port for name, port in remembered_ports(Layout(setup.cluster.absolute())).items() if port}
    taken = [f"{name} {port}" for name, port in ports.items() if not port_is_free(port)]
    if taken:
        yield advice(
            f"taken since the cluster was last started here: {', '.join(taken)}",
            "nothing, if other ports will do: the next start takes them; else end who has them",
        )
    else:
        yield ok("the ports of a local cluster are free")


def nearest(path: Path) -> Path:
    """Return the path, or the nearest folder above it that is there."""
    return next(each for each in (path, *path.parents) if each.exists())
