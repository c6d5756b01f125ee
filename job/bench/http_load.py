"""A load of GET requests over kept connections, from one process: at a rate, or as many as are answered."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from job.bench.errors import BenchError

_HEADER_END = b"\r\n\r\n"
_LENGTH = b"content-length: "


@dataclass(frozen=True, slots=True)
class Answered:
    """The answers to a load.

    Attributes:
        count: number of requests that were answered with 200.
        seconds: from the first to the last.
        p50_ms: median time to the whole answer; at a rate from when the request was due, so a server that stalls is
            charged for all that waited.
        p99_ms: 99th percentile of it.
        max_ms: longest.
        bytes_mean: size of an answer's body.
    """

    count: int
    seconds: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    bytes_mean: float

    @property
    def per_s(self) -> float:
        """Answers a second."""
        return self.count / self.seconds


def load(port: int, paths: Callable[[], str], *, connections: int, seconds: float, rate: float | None) -> Answered:
    """Send requests to a server on loopback.

    Args:
        port: of the server.
        paths: returns the path of the next request.
        connections: how many requests are under way at most.
        seconds: for how long.
        rate: requests a second; None sends the next one at each answer.

    Raises:
        BenchError: an answer is no 200.
    """
    return _summary([asyncio.run(_load(port, paths, connections, seconds, rate))])


def load_in_turns(
    ports: Sequence[int], paths: Callable[[], str], *, connections: int, seconds: float, turns: int
) -> list[Answered]:
    """Send as many requests as are answered to servers, in turns: a machine's other work meets all of them alike.

    Args:
        ports: of the servers.
        paths: as for `load`.
        connections: as for `load`.
        seconds: for how long, each server.
        turns: the number of parts of that time.

    Raises:
        BenchError: an answer is no 200.
    """
    found: list[list[_Found]] = [[] for _ in ports]
    for _ in range(turns):
        for port, its_own in zip(ports, found, strict=True):
            its_own.append(asyncio.run(_load(port, paths, connections, seconds / turns, None)))
    return [_summary(each) for each in found]


@dataclass(frozen=True, slots=True)
class _Found:
    """The (seconds, bytes) of all answers to one load, and how long it lasted."""

    answers: list[tuple[float, int]]
    seconds: float


def _summary(loads: Sequence[_Found]) -> Answered:
    answers = [answer for each in loads for answer in each.answers]
    taken = np.array([seconds for seconds, _ in answers]) * 1000
    p50, p99 = np.percentile(taken, (50, 99))
    size = sum(size for _, size in answers) / len(answers)
    return Answered(len(answers), sum(each.seconds for each in loads), float(p50), float(p99), float(taken.max()), size)


async def _load(port: int, paths: Callable[[], str], connections: int, seconds: float, rate: float | None) -> _Found:
    began = time.perf_counter()
    due = _due_times(began, seconds, rate)
    found: list[tuple[float, int]] = []
    workers = [_worker(port, paths, due, began + seconds, found) for _ in range(connections)]
    await asyncio.gather(*workers)
    return _Found(found, time.perf_counter() - began)


def _due_times(began: float, seconds: float, rate: float | None) -> Iterator[float | None]:
    """Yield when each request is due; None where it is due at once."""
    if rate is None:
        while True:
            yield None
    for number in range(int(seconds * rate)):
        yield began + number / rate


async def _worker(
    port: int,
    paths: Callable[[], str],
    due: Iterator[float | None],
    end: float,
    found: list[tuple[float, int]],
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for at in due:
            if at is not None and (wait_s := at - time.perf_counter()) > 0:
                await asyncio.sleep(wait_s)
            sent = time.perf_counter()
            if at is None and sent >= end:
                return
            writer.write(f"GET {paths()} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            size = await _answer(reader)
            found.append((time.perf_counter() - (sent if at is None else at), size))
    finally:
        writer.close()


async def _answer(reader: asyncio.StreamReader) -> int:
    """Read a whole answer, and return the size of its body.

    Raises:
        BenchError: it is no 200.
    """
    head = await reader.readuntil(_HEADER_END)
    if not head.startswith(b"HTTP/1.1 200"):
        msg = f"the server answered {head.splitlines()[0].decode()}"
        raise BenchError(msg)
    _, _, rest = head.lower().partition(_LENGTH)
    size = int(rest.partition(b"\r\n")[0])
    await reader.readexactly(size)
    return size
