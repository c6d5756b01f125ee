"""The cost of an event with a million users in state, compared with a thousand.

State is filled with scoring off, with the same number of behaviours for every user. The timed behaviours are of the
action `return` on items that nobody has bought: they are read, applied, scored, listed and written like all others, but
do not change histories, so both sizes score histories of the same length however often a user acts.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from job.bench.live import scoring_job
from job.bench.whole_job import time_job
from job.bench.workload import Workload
from model.records import UserBehavior

_FILLS = 2
"""The behaviours of each user before timing."""
_START_MS = 1_704_067_200_000
_GAP_MS = 10


@dataclass(frozen=True, slots=True)
class CostAt:
    """The cost of an event with a number of users in state."""

    users: int
    cpu_ms_per_event: float
    events_per_s: float
    checkpoint_mb: float
    fallback_share: float


@dataclass(frozen=True, slots=True)
class ManyUsers:
    """The costs with few users and with many."""

    few: CostAt
    many: CostAt

    @property
    def ratio(self) -> float:
        """CPU time per event with many users divided by that with few."""
        return self.many.cpu_ms_per_event / self.few.cpu_ms_per_event


def measure_users(workload: Workload) -> ManyUsers:
    """Measure the cost with few users, then with many."""
    return ManyUsers(_cost(workload, workload.scale.few_users), _cost(workload, workload.scale.many_users))


def _cost(workload: Workload, users: int) -> CostAt:
    scale = workload.scale
    past = rounds(users, scale.items, _FILLS)
    timed = returns(users, scale.items, min(scale.timed, 400_000), _START_MS + _FILLS * users * _GAP_MS)
    with scoring_job(workload, f"users-{users}", past, timed) as live:
        job = time_job(live)
    return CostAt(users, job.cpu_ms_per_event, job.events_per_s, job.checkpoint_mb, job.fallback_share)


def rounds(users: int, items: int, count: int, seed: int = 0) -> Iterator[UserBehavior]:
    """Yield one view of every user in each round, in a new order each round."""
    draw = Random(seed)
    order, time_ms = list(range(users)), _START_MS
    for _ in range(count):
        draw.shuffle(order)
        for user in order:
            yield UserBehavior(f"u{user}", "view", f"i{draw.randrange(items)}", time_ms)
            time_ms += _GAP_MS


def returns(users: int, items: int, count: int, start_ms: int, seed: int = 1) -> Iterator[UserBehavior]:
    """Yield behaviours `return` of users drawn uniformly at random."""
    draw = Random(seed)
    for number in range(count):
        user, item = draw.randrange(users), draw.randrange(items)
        yield UserBehavior(f"u{user}", "return", f"i{item}", start_ms + number * _GAP_MS)
