"""The goals for the time from a fault to a job that has caught up, and the times that were measured."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from statistics import median
from types import MappingProxyType

from job.drills.verdict import Judged

GOALS_S: Mapping[str, float] = MappingProxyType(
    {"kill-task-manager": 10.0, "kill-python-worker": 5.0, "kill-leader": 15.0}
)
"""Fault -> longest time until the job has caught up, s, as the median of several."""
TIMES = 5
"""The number of times that each of these faults is injected to measure it."""
COLUMNS = ("fault", "times", "caught up (median)", "worst", "goal", "reached")


@dataclass(frozen=True, slots=True)
class Times:
    """The times of a fault that has a goal.

    Attributes:
        fault: its name.
        caught_up_s: seconds to a job that has caught up, of each; infinite if it never did.
    """

    fault: str
    caught_up_s: tuple[float, ...]

    @property
    def goal_s(self) -> float:
        """The goal for the median."""
        return GOALS_S[self.fault]

    @property
    def median_s(self) -> float:
        """The median; infinite if the job never caught up in half of them."""
        return median(self.caught_up_s)

    @property
    def reached(self) -> bool:
        """True if the median is within the goal."""
        return self.median_s <= self.goal_s

    def to_json(self) -> dict[str, object]:
        """Return the object in verdict.json; null stands for never."""
        worst_s = max(self.caught_up_s)
        return {
            "fault": self.fault,
            "times": len(self.caught_up_s),
            "median_s": None if self.median_s == inf else self.median_s,
            "worst_s": None if worst_s == inf else worst_s,
            "goal_s": self.goal_s,
            "reached": self.reached,
        }

    def cells(self) -> list[str]:
        """Return the row for `COLUMNS`."""
        seconds = ("never" if each == inf else f"{each:.1f} s" for each in (self.median_s, max(self.caught_up_s)))
        return [
            self.fault,
            str(len(self.caught_up_s)),
            *seconds,
            f"{self.goal_s:g} s",
            "yes" if self.reached else "not yet",
        ]


def measured(faults: Sequence[Judged]) -> Iterator[Times]:
    """Yield the times of the faults that have a goal; one that could not be injected has none."""
    for name in GOALS_S:
        recoveries = [each.recovery for each in faults if each.name == name and each.recovery is not None]
        if recoveries:
            seconds = (each.seconds(each.caught_up_ms) for each in recoveries)
            yield Times(name, tuple(inf if each is None else each for each in seconds))
