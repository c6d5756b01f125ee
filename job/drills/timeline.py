"""The timeline of a fault: how many behaviours were processed, and how fresh they were, before and after it."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from job.drills.evidence import Output, SeenLetter
from job.drills.feeder import Fed
from job.drills.watcher import Sample
from job.explain.same_lists import Offset, SeenList

STEP_MS = 500


@dataclass(frozen=True, slots=True)
class Moment:
    """A step of the timeline.

    Attributes:
        at_s: the beginning of the step, seconds from the fault.
        processed: records processed in it, of those whose rows count.
        freshness_ms: the longest time from append to processing among them; None if there were none.
        is_running: whether all tasks were seen running in all of it.
    """

    at_s: float
    processed: int
    freshness_ms: int | None
    is_running: bool


def timeline(
    output: Output, fed: Sequence[Fed], samples: Sequence[Sample], starts: Sequence[int], injected_ms: int
) -> tuple[Moment, ...]:
    """Return the steps of a segment, without gaps.

    Args:
        output: the tables after it.
        fed: the growth of the log in the segment.
        samples: the job's state meanwhile.
        starts: the offset of each partition at which the segment begins.
        injected_ms: the moment of the fault, epoch ms.
    """
    appended = _appended(fed, starts)
    ages: dict[int, list[int]] = defaultdict(list)
    rows: list[SeenList | SeenLetter] = [*output.lists, *output.letters]
    for row in rows:
        if (at_ms := appended.get(row.at)) is not None:
            ages[(row.written_at - injected_ms) // STEP_MS].append(max(0, row.written_at - at_ms))
    down = {(sample.at_ms - injected_ms) // STEP_MS for sample in samples if not sample.all_running}
    if not ages:
        return ()
    steps = range(min(ages), max(*ages, *down, min(ages)) + 1)
    return tuple(
        Moment(
            at_s=step * STEP_MS / 1000,
            processed=len(ages.get(step, ())),
            freshness_ms=max(ages[step]) if step in ages else None,
            is_running=step not in down,
        )
        for step in steps
    )


def _appended(fed: Sequence[Fed], starts: Sequence[int]) -> dict[Offset, int]:
    """Return for each record of the segment the time at which it was appended."""
    found: dict[Offset, int] = {}
    before = list(starts)
    for growth in fed:
        for partition, end in enumerate(growth.ends):
            found |= dict.fromkeys(((partition, offset) for offset in range(before[partition], end)), growth.at_ms)
        before = list(growth.ends)
    return found
