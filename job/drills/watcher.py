"""Watching whether all tasks of a job run, often enough to time a recovery."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import TracebackType
from typing import Self

from job.cluster import FlinkRest, RefusedError, RestError

_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Sample:
    """A moment (epoch ms) at which it was seen whether all tasks run."""

    at_ms: int
    all_running: bool


def outage(samples: Sequence[Sample], since_ms: int) -> tuple[int | None, int | None]:
    """When the job was first seen not running since then, and when it was seen running again for good.

    A job that fails again while it restarts was not back yet: the last time it came up counts.

    Args:
        samples: in the order of time.
        since_ms: epoch ms.
    """
    seen = [sample for sample in samples if sample.at_ms >= since_ms]
    detected = next((sample.at_ms for sample in seen if not sample.all_running), None)
    ups = [after.at_ms for before, after in pairwise(seen) if after.all_running and not before.all_running]
    return detected, ups[-1] if ups and seen[-1].all_running else None


class Watcher:
    """Polls a job in a thread of its own, from entering to leaving."""

    def __init__(self, rest_url: str, job_id: str) -> None:
        self._rest_url = rest_url
        self._job_id = job_id
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watcher", daemon=True)
        self.samples: list[Sample] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        with FlinkRest(self._rest_url) as rest:
            while not self._stop.wait(_POLL_S):
                running = self._all_running(rest)
                if running is not None:
                    self.samples.append(Sample(int(time.time() * 1000), running))

    def _all_running(self, rest: FlinkRest) -> bool | None:
        """None where Flink refuses an answer, as it does in the moment in which tasks are cancelled."""
        try:
            return rest.job(self._job_id).all_running
        except RefusedError:
            return None
        except RestError:
            return False
