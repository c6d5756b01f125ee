"""(d) `recloop serve`: reads with many users in its store, at a rate and at its limit, and reads of one's own writes.

At its limit it is measured in turns with a bare ASGI application, on the same cores as the load, with the same uvicorn.
The bare application answers each request with bytes that the other one had answered with: what is left is HTTP itself.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from random import Random

import httpx

from job.bench.errors import BenchError
from job.bench.http_load import Answered, load, load_in_turns
from job.bench.read_writes import ReadWrites, measure_read_writes
from job.bench.servers import READY_S, serve, serve_bare, server_process
from job.bench.workload import Workload
from job.replay.log_writer import create_log
from model.waiting import wait_until
from udfs.rows import RecommendationListRow, to_lines

_RATE = 500.0
_CONNECTIONS = 16
_TURNS = 5
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
        own_writes: reads of what was just written, with a job behind the server.
    """

    users: int
    filled_per_s: float
    at_rate: Answered
    at_limit: Answered
    bare_at_limit: Answered
    own_writes: ReadWrites

    @property
    def over_bare(self) -> float:
        """The limit over the bare application's."""
        return self.at_limit.per_s / self.bare_at_limit.per_s


def measure_serving(workload: Workload) -> ServingSpeed:
    """Fill a store, and read from it; then have a job behind a server, and read what was written."""
    users, seconds = workload.scale.served_users, workload.scale.serving_s
    folder = workload.folder / "serving"
    items = [f"i{number}" for number in range(workload.scale.items)]
    workload.report(f"publishing {users:,} lists")
    _publish(folder / "lists", users, items)
    create_log(folder / "log", 4)
    draw = Random(0)

    def path() -> str:
        return f"/users/u{draw.randrange(users)}/recommendations"

    with server_process(serve, folder, workload.bundle.path) as port:
        began = time.monotonic()
        workload.report("filling the store")
        _wait_until_filled(port, users)
        filled_s = time.monotonic() - began
        answer = httpx.get(f"http://localhost:{port}{path()}").content
        load(port, path, connections=_CONNECTIONS, seconds=1.0, rate=None)
        workload.report(f"{_RATE:,.0f} requests a second")
        at_rate = load(port, path, connections=_CONNECTIONS, seconds=seconds, rate=_RATE)
        with server_process(serve_bare, answer) as bare_port:
            load(bare_port, path, connections=_CONNECTIONS, seconds=1.0, rate=None)
            workload.report("as many as are answered")
            both = (port, bare_port)
            at_limit, bare = load_in_turns(both, path, connections=_CONNECTIONS, seconds=seconds, turns=_TURNS)
    return ServingSpeed(users, users / filled_s, at_rate, at_limit, bare, measure_read_writes(workload))


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

    if not wait_until(is_filled, timeout_s=READY_S, poll_s=0.1):
        msg = f"the server did not read {users:,} lists within {READY_S:g} s"
        raise BenchError(msg)
