"""The log of a run as it grows, at once or in steps, each of which waits for the job."""

from collections.abc import Callable, Iterable
from itertools import islice

from job.cluster.running import Progress
from job.freshness.errors import LiveError
from job.freshness.handled import Handled
from job.freshness.steps import steps_of
from job.replay.log_writer import LogWriter
from model.records import UserBehavior
from model.waiting import counts_up_to

_STALLED_S = 300.0
_POLL_S, _STEP_POLL_S = 1.0, 0.002
_BATCH = 1_024
_REPORT_EVERY = 256


class Feed:
    """A log to append to, and the count of what the job is done with.

    Attributes:
        appended: number of records in the log.
    """

    def __init__(self, log: LogWriter, handled: Handled, report: Progress) -> None:
        """Report the progress by sentences.

        Args:
            log: empty, and written by nobody else.
            handled: counts the records of this log that the job is done with.
            report: called from time to time.
        """
        self.appended = 0
        self._log, self._handled, self._report = log, handled, report

    def append_whole(self, behaviors: Iterable[UserBehavior]) -> None:
        """Append all, and wait until the job is done with them.

        Raises:
            LiveError: the job came to a halt.
        """
        left = iter(behaviors)
        while batch := list(islice(left, _BATCH)):
            self._append(batch)
        self.wait_for(self._handled.count)

    def append_in_steps(self, behaviors: Iterable[UserBehavior]) -> None:
        """Append in steps, see `steps_of`, each once the job is done with the one before.

        Raises:
            LiveError: the job came to a halt.
        """
        for number, step in enumerate(steps_of(behaviors)):
            self._append(step)
            if number % _REPORT_EVERY == 0:
                self._report(f"step {number:,}, {self.appended:,} behaviours")
            self._wait(self._handled.count, _STEP_POLL_S, lambda _: None)

    def wait_for(self, count: Callable[[], int]) -> None:
        """Wait until a count of what the job is done with is that of the log's records.

        Raises:
            LiveError: it stopped growing.
        """
        self._wait(count, _POLL_S, lambda seen: self._report(f"{seen:,} of {self.appended:,} behaviours"))

    def _append(self, behaviors: list[UserBehavior]) -> None:
        self._log.append(behaviors)
        self.appended += len(behaviors)

    def _wait(self, count: Callable[[], int], poll_s: float, show: Callable[[int], None]) -> None:
        for seen in counts_up_to(self.appended, count, stalled_s=_STALLED_S, poll_s=poll_s):
            show(seen)
        if seen != self.appended:
            msg = f"the job is done with {seen:,} of {self.appended:,} behaviours, and came to a halt: run it again"
            raise LiveError(msg)
