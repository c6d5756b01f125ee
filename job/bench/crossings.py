"""The bytes that cross from the JVM to the Python worker and back, counted by Flink at score-candidates."""

import re
import time
from dataclasses import dataclass

from job.cluster import FlinkRest
from job.deployment.status import counted, fresh_counts
from udfs.flink.metrics import Metric

_SCORER = "score-candidates"
_BYTES = re.compile(r"\d+\.numBytes(In|Out)")
_FETCHED_S = 0.3
"""Flink has fetched what `fresh_counts` asked for, and fetches nothing again before a second is over."""


@dataclass(frozen=True, slots=True)
class Crossed:
    """The traffic since the job's start.

    Attributes:
        lists: lists made.
        sent: bytes that reached score-candidates.
        returned: bytes that it sent on.
    """

    lists: int
    sent: int
    returned: int

    def each_since(self, before: "Crossed") -> tuple[float, float]:
        """Return the bytes a list since then, to the worker and back."""
        lists = max(1, self.lists - before.lists)
        return (self.sent - before.sent) / lists, (self.returned - before.returned) / lists


def crossed(rest: FlinkRest, job_id: str) -> Crossed:
    """Return what has crossed up to now; lists and bytes are of one moment, within a second."""
    fresh_counts(rest, job_id)
    time.sleep(_FETCHED_S)
    job = rest.job(job_id)
    totals = {"In": 0, "Out": 0}
    for vertex in (each for each in job.vertices if _SCORER in each.name):
        names = [name for name in rest.vertex_metric_names(job_id, vertex.vertex_id) if _BYTES.fullmatch(name)]
        for name, value in rest.vertex_counts(job_id, vertex.vertex_id, *names).items() if names else ():
            totals["In" if name.endswith("In") else "Out"] += value
    return Crossed(counted(rest, job).total(Metric.LISTS), totals["In"], totals["Out"])
