"""CPU time and memory of a cluster's processes, thread by thread, by their Linux names.

A Flink task's thread is named after its first operator, so the embedded interpreter's time is reported by operator.
Linux keeps 15 characters of a name.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path

import psutil

from job.cluster import RunningCluster

_TICKS_S = 0.01
"""Linux counts a thread's time in hundredths of a second (USER_HZ)."""
MODEL_THREAD = "worker: busiest thread (the model)"
"""The part of `spent_by_part` that calls the model."""
_JIT = "JIT compiler"
_KINDS = (
    (r"poll-log|Source: tick|find-partitions|track-users|score-candidate", None),
    (r"update-lists|find-trends|measure-feedbac", None),
    (r".*: Writer|.*: Committ|.*Writer.*|.*Committer.*|_stream_key_by_.*|user_behavior.*|recommendation_.*", "tables"),
    (r"C[12] Compiler.*", _JIT),
    (r"GC .*|G1 .*|VM .*", "garbage collection"),
    (r"rocksdb.*", "RocksDB's own threads"),
    (r"grpc.*|default-executo.*|Flink Netty.*|flink-netty.*|epoll.*|netty.*", "network"),
    (r"AsyncOperations.*|jobmanager-.*|flink-.*|pekko.*|Checkpoint.*|.*checkpoint.*", "Flink's own"),
)


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU time spent up to a moment, and memory used at that moment.

    Attributes:
        threads: (kind of process, pid, thread's id, thread's name) -> CPU seconds.
        rss: kind of process -> resident bytes.
    """

    threads: dict[tuple[str, int, int, str], float]
    rss: dict[str, int]


def usage(cluster: RunningCluster) -> Usage:
    """Measure the JobManager, the TaskManagers, and the Python workers that these started."""
    threads: dict[tuple[str, int, int, str], float] = {}
    rss: Counter[str] = Counter()
    processes: list[tuple[str, psutil.Process]] = []
    with suppress(psutil.NoSuchProcess):
        if (pid := cluster.job_manager_pid) is not None:
            processes.append(("JobManager", psutil.Process(pid)))
        for task_manager in (psutil.Process(each.pid) for each in cluster.task_managers() if each.pid is not None):
            processes.append(("TaskManager", task_manager))
            processes.extend(("worker", child) for child in task_manager.children(recursive=True))
    for kind, process in processes:
        with suppress(psutil.NoSuchProcess, FileNotFoundError):
            rss[kind] += process.memory_info().rss
            for task in Path(f"/proc/{process.pid}/task").iterdir():
                with suppress(FileNotFoundError, ProcessLookupError):
                    name = (task / "comm").read_text().strip()
                    threads[kind, process.pid, int(task.name), name] = _spent_s((task / "stat").read_text())
    return Usage(threads, dict(rss))


def cpu_seconds(used: Usage) -> float:
    """Return the CPU seconds of all threads."""
    return sum(used.threads.values())


def compiling_s(used: Usage) -> float:
    """Return the CPU seconds of Java's compilers."""
    return sum(seconds for (_, _, _, name), seconds in used.threads.items() if _named(name) == _JIT)


def spent_by_part(before: Usage, after: Usage) -> dict[str, float]:
    """Return the CPU seconds between two moments by part, the largest first."""
    parts: defaultdict[str, float] = defaultdict(float)
    workers: list[float] = []
    for key, seconds in after.threads.items():
        kind, _, _, name = key
        spent = seconds - before.threads.get(key, 0.0)
        if kind == "worker" and name.startswith("python"):
            workers.append(spent)
        else:
            parts[f"{kind}: {_named(name)}"] += spent
    # Python 3.11 does not pass its threads' names to Linux: the model's thread is by far the busiest.
    for place, spent in enumerate(sorted(workers, reverse=True)):
        parts[MODEL_THREAD if place == 0 else "worker: other Python threads"] += spent
    return {name: spent for name, spent in sorted(parts.items(), key=itemgetter(1), reverse=True) if spent > 0}


def compiling(by_part: Mapping[str, float]) -> float:
    """Return the share of these times that Java's compilers took, in all processes."""
    return sum(spent for part, spent in by_part.items() if part.endswith(_JIT))


def _named(name: str) -> str:
    for pattern, kind in _KINDS:
        if found := re.match(pattern, name):
            return kind or found.group(0)
    return re.sub(r"\W*\d.*", "", name) or "threads without a name"


def _spent_s(stat: str) -> float:
    """Return user plus system time, fields 14 and 15, counted after the bracketed name, which may contain blanks."""
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICKS_S
