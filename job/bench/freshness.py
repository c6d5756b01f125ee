"""Freshness, from append to new list: idle, at shares of the job's capacity, and the stalls that checkpoints add."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt

from job.bench.errors import BenchError
from job.bench.held_up import Collected, Peak, Phases, collections_noted, peaks, phases_of
from job.bench.live import Live, scoring_job
from job.bench.rows import fallback_share, freshness_between, wait_for_rows
from job.bench.stalls import Stalls, Stretch, stalls
from job.bench.whole_job import now_ms
from job.bench.workload import Workload
from job.cluster.checkpoint_records import Checkpoint
from model.records import UserBehavior
from model.waiting import polls

_IDLE_PER_S = 5.0
SHARES = (0.1, 0.5, 0.9)
_HALF = 0.5
_SLICE_S = 0.005
_WARM = 50
_DRAINED_S = 60.0
_POINTS = 4_000


@dataclass(frozen=True, slots=True)
class Load:
    """The freshness at one rate.

    Attributes:
        name: idle, or the share of the capacity.
        per_s: behaviours appended a second.
        samples: the number of lists measured.
        p50_ms: half of the lists were there sooner.
        p99_ms: 99 of 100 lists were there sooner.
        max_ms: the longest wait.
    """

    name: str
    per_s: float
    samples: int
    p50_ms: float
    p99_ms: float
    max_ms: float


@dataclass(frozen=True, slots=True)
class Freshness:
    """The freshness at all loads, and the stalls at half load.

    Attributes:
        capacity_per_s: the job's capacity, behaviours a second; loads are shares of it.
        fallback_share: the share of fallback lists among all lists.
        loads: idle first.
        stalls: the time that checkpoints added at half load; None if too little was measured.
        half_load: (seconds from the first, ms) of lists at half load, for the picture; thinned to under 8,000.
        began_ms: the moment that these seconds count from, epoch ms.
        checkpoints: the checkpoints at half load, with their phases.
        collections: the full garbage collections at half load.
        peaks: the longest waits at half load.
    """

    capacity_per_s: float
    fallback_share: float
    loads: tuple[Load, ...]
    stalls: Stalls | None
    half_load: tuple[tuple[float, float], ...]
    began_ms: int
    checkpoints: tuple[Phases, ...]
    collections: tuple[Collected, ...]
    peaks: tuple[Peak, ...]


def measure_freshness(workload: Workload, capacity_per_s: float) -> Freshness:
    """Measure idle first, then at each share; the log is read to its end in between."""
    scale = workload.scale
    with scoring_job(workload, "freshness", workload.past()) as live:
        behaviors = workload.timed()
        _append_steadily(live, list(islice(behaviors, _WARM)), 2 * _IDLE_PER_S)
        loads = [_load(live, "idle", _IDLE_PER_S, behaviors, scale.idle_samples)[0]]
        for share in SHARES:
            rate = share * capacity_per_s
            with collections_noted(live.rest.url, live.job_id) as noted:
                load, waits, done = _load(live, f"{share:.0%} load", rate, behaviors, int(rate * scale.load_s))
            loads.append(load)
            if share == _HALF:
                at_half, collections = waits, noted
                checkpoints = phases_of(live.rest, live.job_id, done)
        fallbacks = fallback_share(live.tables)
    began_ms = int(at_half[0, 0])
    return Freshness(
        capacity_per_s=capacity_per_s,
        fallback_share=fallbacks,
        loads=tuple(loads),
        stalls=stalls(at_half, [Stretch(each.trigger_ms, each.duration_ms) for each in checkpoints]),
        half_load=_thinned(at_half, began_ms),
        began_ms=began_ms,
        checkpoints=tuple(checkpoints),
        collections=tuple(collections),
        peaks=peaks(at_half, checkpoints, collections),
    )


def _thinned(waits: npt.NDArray[np.int64], began_ms: int) -> tuple[tuple[float, float], ...]:
    return tuple(((at - began_ms) / 1000, float(took)) for at, took in waits[:: max(1, len(waits) // _POINTS)].tolist())


def _load(
    live: Live, name: str, per_s: float, behaviors: Iterator[UserBehavior], count: int
) -> tuple[Load, npt.NDArray[np.int64], list[Checkpoint]]:
    live.workload.report(f"{name}: {count:,} behaviours at {per_s:,.0f} a second")
    begin_ms = now_ms()
    appended = _append_steadily(live, list(islice(behaviors, count)), per_s)
    if not appended:
        msg = f"no behaviours were left for {name}: the job is quicker than this size of bench allows for"
        raise BenchError(msg)
    end_ms = now_ms()
    waits = _all_waits(live, begin_ms, end_ms + 1, appended)
    history = live.rest.checkpoints(live.job_id).history
    done = [each for each in history if each.status == "COMPLETED" and begin_ms <= each.trigger_ms < end_ms]
    took = waits[:, 1]
    p50, p99 = np.quantile(took, (0.5, 0.99))
    seconds = (end_ms - begin_ms) / 1000
    return Load(name, appended / seconds, len(took), float(p50), float(p99), float(took.max())), waits, done


def _append_steadily(live: Live, behaviors: Sequence[UserBehavior], per_s: float) -> int:
    """Append behaviours at a steady rate, all that are due every 5 ms, and return their number."""
    began, done = time.monotonic(), 0
    while done < len(behaviors):
        due = min(len(behaviors), int((time.monotonic() - began) * per_s) + 1)
        if due > done:
            live.log.append(behaviors[done:due])
            done = due
        time.sleep(_SLICE_S)
    return done


def _all_waits(live: Live, begin_ms: int, end_ms: int, wanted: int) -> npt.NDArray[np.int64]:
    """Return the waits of all behaviours appended in that time, once their lists are all in the tables.

    Raises:
        BenchError: that took over a minute.
    """
    for _ in polls(timeout_s=_DRAINED_S, poll_s=0):  # wait_for_rows waits
        wait_for_rows(live, now_ms())
        waits = freshness_between(live.tables, begin_ms, end_ms)
        if len(waits) >= wanted:
            return waits
    msg = f"{wanted - len(waits):,} of {wanted:,} lists did not come: look at {live.cluster.layout.logs}"
    raise BenchError(msg)
