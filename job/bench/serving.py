"""(d) `recloop serve` with many users in its store: reads at a rate, and at its limit beside a bare ASGI application.

Both servers run on the same cores as the load, one after the other, with the same uvicorn. The bare application answers
each request with bytes that the other one had answered with: what is left is HTTP itself.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import Any

import httpx

from job.bench.errors import BenchError
from job.bench.http_load import Answered, load
from job.bench.workload import Workload
from job.replay.log_writer import create_log
from job.settings.job_settings import load as load_settings
from model.waiting import wait_until
from udfs.rows import RecommendationListRow, to_lines

_RATE = 500.0
_CONNECTIONS = 16
_READY_S = 300.0
_LISTED = 10
_AT_ONCE = 1_000
_NOW_MS = 1_704_067_200_000


@dataclass(frozen=True, slots=True)
class ServingSpeed:
    """The speed of reads.

    Attributes:
        users: lists in the store.
        filled_per_s: lists a second while the store was filled.
        at_rate: answers at 500 requests a second.
        at_limit: answers at the limit.
        bare_at_limit: the bare application's.
    """

    users: int
    filled_per_s: float
    at_rate: Answered
    at_limit: Answered
    bare_at_limit: Answered

    @property
    def over_bare(self) -> float:
        """The limit over the bare application's."""
        return self.at_limit.per_s / self.bare_at_limit.per_s


def measure_serving(workload: Workload) -> ServingSpeed:
    """Fill a store, and read from it."""
    users, seconds = workload.scale.served_users, workload.scale.serving_s
    folder = workload.folder / "serving"
    items = [f"i{number}" for number in range(workload.scale.items)]
    workload.report(f"publishing {users:,} lists")
    _publish(folder / "lists", users, items)
    create_log(folder / "log", 4)
    draw = Random(0)

    def path() -> str:
        return f"/users/u{draw.randrange(users)}/recommendations"

    with _process(_serve, folder, workload.bundle.path) as port:
        began = time.monotonic()
        workload.report("filling the store")
        _wait_until_filled(port, users)
        filled_s = time.monotonic() - began
        answer = httpx.get(f"http://localhost:{port}{path()}").content
        load(port, path, connections=_CONNECTIONS, seconds=1.0, rate=None)
        workload.report(f"{_RATE:,.0f} requests a second")
        at_rate = load(port, path, connections=_CONNECTIONS, seconds=seconds, rate=_RATE)
        workload.report("as many as are answered")
        at_limit = load(port, path, connections=_CONNECTIONS, seconds=seconds, rate=None)
    with _process(_serve_bare, answer) as port:
        load(port, path, connections=_CONNECTIONS, seconds=1.0, rate=None)
        bare = load(port, path, connections=_CONNECTIONS, seconds=seconds, rate=None)
    return ServingSpeed(users, users / filled_s, at_rate, at_limit, bare)


def _publish(folder: Path, users: int, items: list[str]) -> None:
    """Write one list of each user, as append-lists writes them."""
    # Imported here: it loads Flink's Python packages, which few commands need.
    from udfs.publishing.list_files import ListFile

    create_log(folder, 1)
    draw = Random(1)
    file = ListFile(folder, 0)
    for begin in range(0, users, _AT_ONCE):
        rows = [_row(f"u{user}", draw.sample(items, _LISTED)) for user in range(begin, min(users, begin + _AT_ONCE))]
        file.append(to_lines(rows))
    file.close()


def _row(user_id: str, items: list[str]) -> RecommendationListRow:
    return RecommendationListRow(
        user_id=user_id,
        items=items,
        scores=[1.0 - place / _LISTED for place in range(_LISTED)],
        reasons=["model"] * _LISTED,
        list_version=1,
        user_seq=1,
        action="click",
        item_id=items[0],
        log_partition=0,
        log_offset=0,
        policy="recommend",
        source="scored",
        fallback_reason=None,
        model_version="20240101-000000",
        model_hash="0" * 64,
        variant="default",
        trend_snapshot=None,
        batch_size=1,
        timestamp=_NOW_MS,
        appended_at=_NOW_MS,
        written_at=_NOW_MS,
        epoch=1,
    )


def _wait_until_filled(port: int, users: int) -> None:
    def is_filled() -> bool:
        return bool(httpx.get(f"http://localhost:{port}/healthz").json()["lists"] >= users)

    if not wait_until(is_filled, timeout_s=_READY_S, poll_s=0.1):
        msg = f"the server did not read {users:,} lists within {_READY_S:g} s"
        raise BenchError(msg)


@contextmanager
def _process(target: Any, *given: Any) -> Iterator[int]:
    """Run a server as a process, and yield its port."""
    spawn = get_context("spawn")
    here, there = spawn.Pipe()
    process = spawn.Process(target=target, args=(there, *given), daemon=True)
    process.start()
    try:
        if not here.poll(_READY_S):
            msg = "the server did not start"
            raise BenchError(msg)
        yield int(here.recv())
    finally:
        process.terminate()
        process.join()


def _serve(ready: Connection, folder: Path, bundle: Path) -> None:
    from job.serving.running import run
    from job.serving.serve_settings import serve_settings

    given = (f"log.folder={folder}/log", f"publish.lists_folder={folder}/lists", f"tables.folder={folder}/tables")
    job = load_settings(overrides=given, needs_model=False).resolved()
    settings = serve_settings(port=0, store=folder / "store", bundle=bundle, rate=1_000_000, burst=10_000_000)
    run(job, settings, on_ready=lambda text: ready.send(_port(text)))


def _serve_bare(ready: Connection, answer: bytes) -> None:
    import asyncio
    import socket

    import uvicorn

    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]

    async def app(scope: Any, _receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": answer})

    listening = socket.create_server(("127.0.0.1", 0))
    ready.send(listening.getsockname()[1])
    config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False, lifespan="off")
    asyncio.run(uvicorn.Server(config).serve(sockets=[listening]))


def _port(sentence: str) -> int:
    """Return the port in "Serving at http://127.0.0.1:8080; ..."."""
    return int(sentence.split()[2].rstrip(";").rpartition(":")[2])
