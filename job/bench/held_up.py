"""The longest waits under a steady load, and what stands beside each: a checkpoint's phases, full collections.

Flink fetches metrics once a second, so a collection is known to within two seconds; its duration is exact.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from threading import Event, Thread

import numpy as np
import numpy.typing as npt

from job.cluster import FlinkRest, RestError
from job.cluster.checkpoint_records import Checkpoint, VertexPhases
from job.deployment.status import counted
from udfs.flink.metrics import Metric

PEAKS = 10
_APART_MS = 500
"""Waits that are closer than this are one peak."""
_LATE_MS = 2_000
"""The longest time from a collection until its count is read."""
_POLL_S = 1.0


@dataclass(frozen=True, slots=True)
class Phases:
    """A checkpoint, and the longest of each of its phases over all vertices, ms.

    Attributes:
        trigger_ms: when it was triggered, epoch ms.
        duration_ms: until it was complete.
        delay_ms: the barrier's way to a vertex, bundles that are drained before it included.
        alignment_ms: a vertex's wait for the barriers of its other inputs.
        sync_ms: the part of a snapshot in which a vertex stands still.
        async_ms: the part that is written beside its work.
        slowest: the name of the vertex that the barrier reached last.
    """

    trigger_ms: int
    duration_ms: int
    delay_ms: int
    alignment_ms: int
    sync_ms: int
    async_ms: int
    slowest: str


@dataclass(frozen=True, slots=True)
class Collected:
    """Full garbage collections that one poll found, of all interpreters.

    Attributes:
        at_ms: when they were read, epoch ms.
        number: how many there were.
        took_ms: how long they took.
    """

    at_ms: int
    number: int
    took_ms: int


@dataclass(frozen=True, slots=True)
class Peak:
    """One of the longest waits.

    Attributes:
        at_ms: when its behaviour was appended, epoch ms.
        wait_ms: the time until its list was made.
        checkpoint: the checkpoint under way in that time, or None.
        collections_ms: the time that full collections took then; 0: there was none.
    """

    at_ms: int
    wait_ms: int
    checkpoint: Phases | None
    collections_ms: int


def peaks(
    waits: npt.NDArray[np.int64], checkpoints: Sequence[Phases], collections: Sequence[Collected]
) -> tuple[Peak, ...]:
    """Return the longest waits, the longest first, each apart from the others.

    Args:
        waits: (N, 2): when a behaviour was appended, epoch ms, and after how many ms its list was made.
        checkpoints: those under that load.
        collections: likewise.
    """
    found: list[Peak] = []
    for at_ms, wait_ms in waits[np.argsort(-waits[:, 1], kind="stable")].tolist():
        if all(abs(at_ms - each.at_ms) > _APART_MS for each in found):
            end_ms = at_ms + wait_ms
            under_way = (c for c in checkpoints if c.trigger_ms < end_ms and c.trigger_ms + c.duration_ms > at_ms)
            beside = sum(each.took_ms for each in collections if at_ms <= each.at_ms < end_ms + _LATE_MS)
            found.append(Peak(at_ms, wait_ms, next(under_way, None), beside))
        if len(found) == PEAKS:
            break
    return tuple(found)


def phases_of(rest: FlinkRest, job_id: str, checkpoints: Sequence[Checkpoint]) -> list[Phases]:
    """Read the phases of completed checkpoints."""
    names = {vertex.vertex_id: vertex.name for vertex in rest.job(job_id).vertices}
    read = []
    for each in checkpoints:
        by_vertex = {name: rest.checkpoint_phases(job_id, each.checkpoint_id, key) for key, name in names.items()}
        read.append(_longest(each, by_vertex))
    return read


def _longest(checkpoint: Checkpoint, by_vertex: dict[str, VertexPhases]) -> Phases:
    phases = by_vertex.values()
    return Phases(
        trigger_ms=checkpoint.trigger_ms,
        duration_ms=checkpoint.duration_ms,
        delay_ms=max(each.delay.max for each in phases),
        alignment_ms=max(each.alignment.duration.max for each in phases),
        sync_ms=max(each.snapshot.sync.max for each in phases),
        async_ms=max(each.snapshot.beside.max for each in phases),
        slowest=max(by_vertex, key=lambda name: by_vertex[name].delay.max).partition(" ")[0].rstrip(":,"),
    )


@contextmanager
def collections_noted(rest_url: str, job_id: str) -> Iterator[list[Collected]]:
    """Note full collections beside the block; the list is whole after it."""
    totals: list[tuple[int, int, int]] = []
    noted: list[Collected] = []
    ended = Event()

    def poll() -> None:
        with FlinkRest(rest_url) as rest:
            while True:
                last = ended.wait(_POLL_S)
                try:
                    counts = counted(rest, rest.job(job_id))
                except RestError:  # a poll that is missed adds to the next one
                    counts = None
                if counts is not None:
                    number, ms = counts.total(Metric.COLLECTIONS), counts.total(Metric.COLLECTION_MS)
                    totals.append((int(time.time() * 1000), number, ms))
                if last:
                    return

    poller = Thread(target=poll, name="note-collections", daemon=True)
    poller.start()
    try:
        yield noted
    finally:
        ended.set()
        poller.join()
        for (_, number, ms), (at_ms, new, new_ms) in pairwise(totals):
            if new > number:
                noted.append(Collected(at_ms, new - number, new_ms - ms))
