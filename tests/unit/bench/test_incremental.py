"""The scorer alone is timed until the time is over, and not for one batch."""

from itertools import repeat
from typing import Any

from job.bench.incremental import WARM_UP_BATCHES, _in_turns


class Counting:
    def __init__(self) -> None:
        self.batches = 0

    def score(self, _batch: list[Any]) -> None:
        self.batches += 1


def test_both_scorers_get_every_batch_until_the_time_is_over() -> None:
    scorers: Any = [Counting(), Counting()]
    batch: list[Any] = [object()] * 3
    spent = _in_turns(scorers, repeat(batch), 0.2)
    assert scorers[0].batches == scorers[1].batches > WARM_UP_BATCHES + 2
    assert min(spent) >= 0
