"""(c) Plain PyFlink on a cluster like the job's: RocksDB, checkpoints every 2 s, the same behaviours and model.

It reads a file whose first records hold each user's earlier history, so that all contenders score the same histories.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from job.bench.errors import BenchError
from job.bench.live import bench_cluster
from job.bench.peers import PACKAGE
from job.bench.whole_job import now_ms
from job.bench.workload import LISTED, Workload, histories_after
from job.cluster import FlinkRest
from job.deployment.deploy import Target, submit
from model.datasets.json_lines import encode_behavior
from model.waiting import wait_until

Call = Literal["map", "async"]
_BUFFERS = {
    "taskmanager.memory.segment-size": "32kb",
    "taskmanager.network.memory.buffer-debloat.enabled": "false",
}
"""Flink's own defaults; the job's cluster has other values."""
_FORMS: tuple[tuple[Call, int], ...] = (("map", 1), ("map", 2), ("async", 1))
"""The kind of call of the model, and the parallelism."""
_QUICK_FORMS: tuple[tuple[Call, int], ...] = (("map", 2),)
"""The form that was the quickest whenever all were tried."""
_FIRST_LIST_S = 120.0
_POLL_S = 0.5


@dataclass(frozen=True, slots=True)
class PyFlinkSpeed:
    """The speed of one form of plain PyFlink.

    Attributes:
        call: the model is called in a map, or in an async function.
        parallelism: of every operator but the source, and the number of TaskManagers.
        events_per_s: lists made a second.
    """

    call: Call
    parallelism: int
    events_per_s: float


@dataclass(frozen=True, slots=True)
class PlainPyFlink:
    """The forms that were tried; the best counts."""

    tried: tuple[PyFlinkSpeed, ...]

    @property
    def best(self) -> PyFlinkSpeed:
        """The quickest form."""
        return max(self.tried, key=lambda speed: speed.events_per_s)


def measure_plain_pyflink(workload: Workload) -> PlainPyFlink:
    """Measure each form on its own cluster."""
    source = workload.folder / "behaviors.jsonl"
    _write_file(workload, source)
    forms = _FORMS if workload.scale.variants else _QUICK_FORMS
    return PlainPyFlink(tuple(PyFlinkSpeed(call, slots, _run(workload, source, call, slots)) for call, slots in forms))


def _write_file(workload: Workload, path: Path) -> None:
    """Write every user's history, then the timed behaviours, one JSON object per line."""
    with path.open("wb") as out:
        out.writelines(line + b"\n" for line in prepared_records(workload))
        out.writelines(encode_behavior(behavior) + b"\n" for behavior in workload.timed())


def prepared_records(workload: Workload) -> Iterator[bytes]:
    """Yield one record per user, with the user's history after the past."""
    for user_id, history in histories_after(workload.past()).items():
        yield msgspec.json.encode({"user_id": user_id, "history": history})


def _run(workload: Workload, source: Path, call: Call, parallelism: int) -> float:
    scale, name = workload.scale, f"plain-pyflink-{call}-{parallelism}"
    with bench_cluster(workload, name, task_managers=parallelism, **_BUFFERS) as cluster:
        workload.report("submitting")
        out = cluster.directory.parent / "out"
        target = Target.local(cluster)
        target.folder.mkdir(parents=True, exist_ok=True)
        files = ("--input", source, "--output", out, "--bundle", workload.bundle.path)
        options = ("--call", call, "--parallelism", parallelism)
        job_id = submit(target, ["-py", *map(str, (PACKAGE / "plain_pyflink_job.py", *files, *options))])
        with FlinkRest(cluster.rest_url) as rest:
            rest.wait_until_running(job_id, timeout_s=_FIRST_LIST_S)
        if not wait_until(
            lambda: any(file.stat().st_size for file in _files(out)), timeout_s=_FIRST_LIST_S, poll_s=_POLL_S
        ):
            msg = f"plain PyFlink made no list in {_FIRST_LIST_S:g} s: look at {cluster.layout.logs}"
            raise BenchError(msg)
        workload.report(f"{call}, parallelism {parallelism}: timing for {scale.timed_s:g} s")
        time.sleep(scale.warm_s)
        begin_ms = now_ms()
        time.sleep(scale.timed_s)
        made = [at for at in _times_of_lists(out) if begin_ms <= at < begin_ms + scale.timed_s * 1000]
    if not made:
        msg = f"plain PyFlink ({call}, {parallelism}) made no list while it was timed"
        raise BenchError(msg)
    return len(made) / scale.timed_s


def _times_of_lists(out: Path) -> list[int]:
    """Return when each list was made, epoch ms.

    Files in progress are read too, without their last line, which may be incomplete.

    Raises:
        BenchError: a list has a wrong number of items.
    """
    times = []
    for file in _files(out):
        for line in file.read_bytes().split(b"\n")[:-1]:
            made = msgspec.json.decode(line)
            if len(made["items"]) != LISTED:
                msg = f"{file} holds a list of {len(made['items'])} items"
                raise BenchError(msg)
            times.append(int(made["written_at"]))
    return times


def _files(out: Path) -> list[Path]:
    return [file for file in out.rglob("*") if file.is_file()] if out.exists() else []
