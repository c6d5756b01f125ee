"""What stands beside the longest waits."""

import numpy as np

from job.bench.freshness import Freshness
from job.bench.held_up import PEAKS, Collected, Phases, peaks
from job.bench.pictures import _trace
from job.bench.report import grids
from job.bench.results import Results

CHECKPOINT = Phases(5_000, 400, 60, 20, 10, 200, "score-candidates")


def waits(**longest: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """A wait of 20 ms every 10 ms, but for those at the given times."""
    times = np.arange(0, 20_000, 10, dtype=np.int64)
    took = np.full_like(times, 20)
    for name, wait_ms in longest.items():
        took[int(name.removeprefix("at_")) // 10] = wait_ms
    return np.stack([times, took], axis=1)


def test_a_peak_has_the_checkpoint_that_was_under_way() -> None:
    first, second, *_ = peaks(waits(at_4900=300, at_9000=250), [CHECKPOINT], [])
    assert (first.wait_ms, first.checkpoint) == (300, CHECKPOINT)
    assert (second.wait_ms, second.checkpoint) == (250, None)


def test_a_peak_has_the_collections_that_are_read_within_two_seconds() -> None:
    collections = [Collected(9_800, 1, 240), Collected(14_000, 1, 3)]
    (first, *others) = peaks(waits(at_9000=250), [], collections)
    assert first.collections_ms == 240
    assert {each.wait_ms for each in others} == {20}


def test_waits_side_by_side_are_one_peak() -> None:
    found = peaks(waits(at_9000=250, at_9010=249, at_9400=240), [], [])
    assert len(found) == PEAKS
    assert [each.wait_ms for each in found[:2]] == [250, 20]


def fresh() -> Freshness:
    measured = waits(at_5010=300)
    collections = (Collected(7_000, 1, 200),)
    return Freshness(
        capacity_per_s=100.0,
        fallback_share=0.0,
        loads=(),
        stalls=None,
        half_load=tuple((at / 1000, float(took)) for at, took in measured.tolist()),
        began_ms=0,
        checkpoints=(CHECKPOINT,),
        collections=collections,
        peaks=peaks(measured, [CHECKPOINT], collections),
    )


def test_the_table_tells_what_held_lists_up() -> None:
    (grid,) = (each for each in grids(Results(freshness=fresh())) if each.title.startswith("the longest"))
    wait, checkpoint, phases, collections = grid.rows[0]
    assert (wait, checkpoint) == ("300 ms", "400 ms, triggered 0.01 s earlier")
    assert phases == "barrier 60 (score-candidates), alignment 20, standing still 10, writing 200 ms"
    assert collections == "200 ms"


def test_phases_follow_one_another_and_a_collection_ends_when_it_is_read() -> None:
    traced = _trace(fresh())
    assert [(round(begin, 3), length) for (begin, length), *_ in traced.values()] == [
        (5.0, 0.06),
        (5.06, 0.02),
        (5.08, 0.01),
        (5.09, 0.2),
        (6.8, 0.2),
    ]
