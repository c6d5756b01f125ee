"""The time from a behaviour to a list that has seen it, as a reader of `recloop serve` sees it, a job being behind it.

Behaviours are sent over HTTP at a steady rate. Each is followed by a read of the user's list that waits until the list
has seen it; the time is from when the behaviour was due to the whole answer.
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice

import httpx
import numpy as np

from job.bench.errors import BenchError
from job.bench.live import PARTITIONS, Live, bench_cluster, fill_and_score, job_settings
from job.bench.servers import READY_S, serve, server_process
from job.bench.workload import Workload
from job.cluster import FlinkRest
from job.replay.files_target import FilesTarget
from model.records import UserBehavior
from model.waiting import wait_until

_NAME = "read_writes"
_PER_S = 20.0
_WARM = 50
_WAIT_MS = 5_000
_READS = 12
_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class ReadWrites:
    """The age of behaviours when a reader sees the list that has seen them.

    Attributes:
        per_s: behaviours sent a second.
        samples: the number that were measured.
        p50_ms: median from the behaviour to the answer.
        p99_ms: 99th percentile of it.
        max_ms: longest.
    """

    per_s: float
    samples: int
    p50_ms: float
    p99_ms: float
    max_ms: float


def measure_read_writes(workload: Workload) -> ReadWrites:
    """Run a job and a server that follows its lists; send behaviours, and read the lists that have seen them.

    Raises:
        BenchError: the server did not start or answer, or a list was not there within a minute.
        ClusterError: the cluster did not start, or the job did not run.
        DeployError: Flink refused the job.
    """
    folder = workload.folder / _NAME
    overrides = (f"publish.lists_folder={folder}/lists",)
    slots = job_settings(workload, folder, overrides).slots
    with bench_cluster(workload, _NAME, task_managers=slots) as cluster, FlinkRest(cluster.rest_url) as rest:
        settings = job_settings(workload, folder, overrides)
        with closing(FilesTarget(folder / "log", PARTITIONS)) as log:
            live = Live(workload, cluster, rest, "", folder / "tables", log, settings)
            fill_and_score(live, workload.past(), ())
        # The server appends now, and the log has one writer at a time.
        with server_process(serve, folder, workload.bundle.path) as port:
            behaviors = workload.timed()
            _wait_until_read(port)
            asyncio.run(_sent(port, behaviors, _WARM))
            workload.report(f"reading {workload.scale.idle_samples:,} own writes at {_PER_S:g} a second")
            taken = np.array(asyncio.run(_sent(port, behaviors, workload.scale.idle_samples)))
    p50, p99 = np.quantile(taken, (0.5, 0.99))
    return ReadWrites(_PER_S, len(taken), float(p50), float(p99), float(taken.max()))


def _wait_until_read(port: int) -> None:
    """Wait until the server has read what the job published while it applied the past."""
    if not wait_until(lambda: httpx.get(f"http://localhost:{port}/readyz").is_success, timeout_s=READY_S, poll_s=0.1):
        msg = f"the server did not read all lists within {READY_S:g} s"
        raise BenchError(msg)


async def _sent(port: int, behaviors: Iterator[UserBehavior], count: int) -> list[float]:
    """Send behaviours at the rate, and return for each the milliseconds until its list was read."""
    try:
        async with httpx.AsyncClient(base_url=f"http://localhost:{port}", timeout=_TIMEOUT_S) as http:
            began, sent = time.perf_counter(), enumerate(islice(behaviors, count))
            return await asyncio.gather(*(_read_back(http, each, began + place / _PER_S) for place, each in sent))
    except httpx.HTTPError as error:
        msg = f"the server did not answer: {error!r}"
        raise BenchError(msg) from error


async def _read_back(http: httpx.AsyncClient, behavior: UserBehavior, due: float) -> float:
    """Send a behaviour when it is due, and return the milliseconds from then to a list that has seen it.

    Raises:
        BenchError: there was none within a minute.
    """
    await asyncio.sleep(max(0.0, due - time.perf_counter()))
    sent = {"user_id": behavior.user_id, "action": behavior.action, "item_id": behavior.item_id}
    accepted = await http.post("/behaviors", json=sent)
    asked = {"after": accepted.raise_for_status().json()["after"], "wait_ms": _WAIT_MS}
    for _ in range(_READS):
        answer = await http.get(f"/users/{behavior.user_id}/recommendations", params=asked)
        if not answer.raise_for_status().json()["stale"]:
            return (time.perf_counter() - due) * 1000
    msg = f"no list had seen a behaviour after {_READS * _WAIT_MS // 1000} s: the job may be down"
    raise BenchError(msg)
