"""A watcher that polls whether all tasks of a job run, often enough to time a recovery."""

import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from types import TracebackType
from typing import Self

from job.cluster import FlinkRest, NotFoundError, RefusedError, RestError

_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Sample:
    """The result of a poll: its moment (epoch ms), and whether all tasks ran then."""

    at_ms: int
    all_running: bool


def outage(samples: Sequence[Sample], since_ms: int) -> tuple[int | None, int | None]:
    """Return when the job was first seen not running, and when it was seen running again for good; None if never.

    If the job fails again while it restarts, the last time that it came up counts.

    Args:
        samples: in the order of time.
        since_ms: earlier samples are ignored, epoch ms.
    """
    seen = [sample for sample in samples if sample.at_ms >= since_ms]
    detected = next((sample.at_ms for sample in seen if not sample.all_running), None)
    ups = [after.at_ms for before, after in pairwise(seen) if after.all_running and not before.all_running]
    return detected, ups[-1] if ups and seen[-1].all_running else None


class Watcher:
    """A thread that polls the newest job of a name, from entering the block to leaving it.

    Attributes:
        job_id: Flink's id of the job; another one once it was submitted again.
        samples: all polls so far.
    """

    def __init__(self, rest_url: str, job_name: str, job_id: str) -> None:
        self._rest_url = rest_url
        self._job_name = job_name
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watcher", daemon=True)
        self.job_id = job_id
        self.samples: list[Sample] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def outage(self, since_ms: int) -> tuple[int | None, int | None]:
        """Return when the job went down after a moment, and when it was up again for good; None if never."""
        return outage(list(self.samples), since_ms)

    def _run(self) -> None:
        with FlinkRest(self._rest_url) as rest:
            while not self._stop.wait(_POLL_S):
                running = self._all_running(rest)
                if running is not None:
                    self.samples.append(Sample(int(time.time() * 1000), running))

    def _all_running(self, rest: FlinkRest) -> bool | None:
        """Return whether all tasks run; None if Flink refuses to answer, as it does while tasks are being cancelled."""
        try:
            job = rest.job(self.job_id)
            if not job.is_over:
                return job.all_running
        except NotFoundError:
            pass
        except RefusedError:
            return None
        except RestError:
            return False
        self._find_again(rest)
        return False

    def _find_again(self, rest: FlinkRest) -> None:
        """Take the newest job of the name: after a restart without high availability another one takes over."""
        with suppress(RestError):
            named = [job for job in rest.jobs() if job.name == self._job_name]
            if named:
                self.job_id = named[0].job_id
