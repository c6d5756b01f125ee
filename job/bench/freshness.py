"""Freshness, from append to new list: idle, at shares of the job's capacity, and the stalls that checkpoints add."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt

from job.bench.errors import BenchError
from job.bench.live import Live, scoring_job
from job.bench.rows import fallback_share, freshness_between, wait_for_rows
from job.bench.stalls import Stalls, Stretch, stalls
from job.bench.whole_job import now_ms
from job.bench.workload import Workload
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
        checkpoints_s: when checkpoints were triggered, on the same scale.
    """

    capacity_per_s: float
    fallback_share: float
    loads: tuple[Load, ...]
    stalls: Stalls | None
    half_load: tuple[tuple[float, float], ...]
    checkpoints_s: tuple[float, ...]


def measure_freshness(workload: Workload, capacity_per_s: float) -> Freshness:
    """Measure idle first, then at each share; the log is read to its end in between."""
    scale = workload.scale
    with scoring_job(workload, "freshness", workload.past()) as live:
        behaviors = workload.timed()
        _append_steadily(live, list(islice(behaviors, _WARM)), 2 * _IDLE_PER_S)
        loads = [_load(live, "idle", _IDLE_PER_S, behaviors, scale.idle_samples)[0]]
        half: tuple[Stalls | None, npt.NDArray[np.int64], list[Stretch]] = (None, np.zeros((0, 2), np.int64), [])
        for share in SHARES:
            rate = share * capacity_per_s
            load, waits, done = _load(live, f"{share:.0%} load", rate, behaviors, int(rate * scale.load_s))
            loads.append(load)
            if share == _HALF:
                half = stalls(waits, done), waits, done
        fallbacks = fallback_share(live.tables)
    stalled, waits, done = half
    begin_ms = int(waits[0, 0]) if len(waits) else 0
    thinned = waits[:: max(1, len(waits) // _POINTS)].tolist()
    return Freshness(
        capacity_per_s=capacity_per_s,
        fallback_share=fallbacks,
        loads=tuple(loads),
        stalls=stalled,
        half_load=tuple(((at - begin_ms) / 1000, float(took)) for at, took in thinned),
        checkpoints_s=tuple(sorted((each.trigger_ms - begin_ms) / 1000 for each in done)) if len(waits) else (),
    )


def _load(
    live: Live, name: str, per_s: float, behaviors: Iterator[UserBehavior], count: int
) -> tuple[Load, npt.NDArray[np.int64], list[Stretch]]:
    live.workload.report(f"{name}: {count:,} behaviours at {per_s:,.0f} a second")
    begin_ms = now_ms()
    appended = _append_steadily(live, list(islice(behaviors, count)), per_s)
    if not appended:
        msg = f"no behaviours were left for {name}: the job is quicker than this size of bench allows for"
        raise BenchError(msg)
    end_ms = now_ms()
    waits = _all_waits(live, begin_ms, end_ms + 1, appended)
    history = live.rest.checkpoints(live.job_id).history
    done = [Stretch(each.trigger_ms, each.duration_ms) for each in history if each.status == "COMPLETED"]
    during = [each for each in done if begin_ms <= each.trigger_ms < end_ms]
    took = waits[:, 1]
    p50, p99 = np.quantile(took, (0.5, 0.99))
    seconds = (end_ms - begin_ms) / 1000
    return Load(name, appended / seconds, len(took), float(p50), float(p99), float(took.max())), waits, during


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
