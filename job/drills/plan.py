"""The plan of a drill: the faults that share a job, and the segment of the log that each comes in."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from job.drills.faults import Fault

_MOST_A_JOB = 5
"""Faults that one job goes through: each lengthens the log, which every run reads from its beginning."""

Placed = tuple[Fault, int]
"""A fault, and the number of its segment."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The runs of a drill.

    Attributes:
        runs: for each job its faults in order, with their segments.
        segments: the number of segments that the log needs.
        flooded: the segment that has to be flooded, or None.
    """

    runs: tuple[tuple[Placed, ...], ...]
    segments: int
    flooded: int | None


def _kind(fault: Fault) -> tuple[object, ...]:
    """Return what faults that share a job have in common: what one leaves in the tables, the next is judged by too."""
    return fault.needs, fault.expects.scores, fault.expects.falls_back


def plan(faults: Sequence[Fault]) -> Plan:
    """Distribute faults to jobs: those of the same kind share one, in the given order; a flood comes last."""
    runs: list[tuple[Placed, ...]] = []
    for kind in dict.fromkeys(map(_kind, faults)):
        mine = sorted((fault for fault in faults if _kind(fault) == kind), key=lambda fault: fault.flooded)
        parts = -(-len(mine) // _MOST_A_JOB)
        cuts = [round(number * len(mine) / parts) for number in range(parts + 1)]
        for start, end in pairwise(cuts):
            runs.append(tuple((fault, segment) for segment, fault in enumerate(mine[start:end])))
    flooded = next((segment for run in runs for fault, segment in run if fault.flooded), None)
    return Plan(tuple(runs), max(map(len, runs), default=1), flooded)
