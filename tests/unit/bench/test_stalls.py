"""What a checkpoint adds to the longest wait."""

from dataclasses import replace

import numpy as np
import pytest

from job.bench.stalls import Stretch, stalls

INTERVAL = 2_000
CHECKPOINTS = [Stretch(at, 200) for at in range(1_000, 20_000, INTERVAL)]


def steady(held_ms: int, usual_ms: int = 20) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """A behaviour every 10 ms, whose list takes longer while a checkpoint is made."""
    times = np.arange(0, 22_000, 10, dtype=np.int64)
    inside = (times % INTERVAL >= 1_000) & (times % INTERVAL < 1_200)
    return np.stack([times, np.where(inside, held_ms, usual_ms)], axis=1)


@pytest.mark.parametrize(("held_ms", "added_ms"), [(20, 0), (70, 50), (500, 480), (10, 0)])
def test_a_stall_is_what_is_added_to_the_usual_longest_wait(held_ms: int, added_ms: int) -> None:
    found = stalls(steady(held_ms), CHECKPOINTS)
    assert found is not None
    assert (found.checkpoints, found.median_ms, found.usual_ms) == (len(CHECKPOINTS), added_ms, 20)


def test_one_slow_checkpoint_of_ten_shows_in_p90_only() -> None:
    waits = steady(20)
    slow = (waits[:, 0] >= 5_000) & (waits[:, 0] < 5_200)
    waits[slow, 1] = 900
    found = stalls(waits, CHECKPOINTS)
    assert found is not None
    assert found.median_ms == 0
    assert found.p90_ms > 0


def test_checkpoints_that_take_most_of_the_time_are_compared_with_what_is_left() -> None:
    waits = steady(500)
    waits[:, 1] = np.where((waits[:, 0] - 1_000) % INTERVAL < 1_500, 500, 20)
    found = stalls(waits, [replace(each, duration_ms=1_500) for each in CHECKPOINTS])
    assert found is not None
    assert (found.median_ms, found.usual_ms) == (480, 20)
    assert stalls(waits, [replace(each, duration_ms=INTERVAL) for each in CHECKPOINTS]) is None


def test_nothing_is_said_without_enough_behaviours() -> None:
    assert stalls(steady(70)[::500], CHECKPOINTS) is None
    assert stalls(steady(70), []) is None
