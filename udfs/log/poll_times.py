"""The times of a subtask's next polls: Flink's timers are absolute times of a clock that may step.

Pure. Flink fires, one after the other and before anything else, every timer up to the time of the one that was due. So
a timer that is armed at or before that time keeps barriers waiting. After a step back, a timer armed after it fires
only when the clock is there again, and nothing else wakes the operator, as Flink's ticks wait by the same clock.
"""

from model.errors import RecloopError

TOLERATED_STEP_MS = 1_000
"""Longest step back that polling waits out; after a larger one a restart takes less time."""


class ClockSteppedBackError(RecloopError):
    """A step back of the machine's clock; Flink restarts the job from its checkpoint, with timers by the new time."""


class PollTimes:
    """The time of the timer armed for each partition's key, epoch ms: any other is left over from a checkpoint."""

    def __init__(self, interval_ms: int) -> None:
        self._interval_ms = interval_ms
        self._armed: dict[int, int] = {}
        self._fired_ms = 0

    def __contains__(self, key: int) -> bool:
        """Return whether a timer is armed for the key."""
        return key in self._armed

    def begin(self, key: int, now_ms: int) -> int:
        """Return when the key's first timer is to be armed."""
        self._armed[key] = now_ms
        return now_ms

    def fires(self, key: int, timestamp: int, now_ms: int) -> bool:
        """Return whether this is the key's timer; where none is armed yet, one of a checkpoint is.

        Raises:
            ClockSteppedBackError: it is, but by the clock it is not due for long.
        """
        if self._armed.setdefault(key, timestamp) != timestamp:
            return False
        self._fired_ms = timestamp
        self._check(now_ms)
        return True

    def arm(self, key: int, at_ms: int) -> int:
        """Return when the key's next timer is to be armed: never at or before the one that fires now."""
        self._armed[key] = max(at_ms, self._fired_ms + 1)
        return self._armed[key]

    def arm_after_poll(self, key: int, done_ms: int, *, more: bool) -> int:
        """Return when the key's next timer is to be armed, after a poll done at `done_ms`; at once if the log has more.

        Raises:
            ClockSteppedBackError: the clock went back meanwhile.
        """
        self._check(done_ms)
        return self.arm(key, done_ms if more else done_ms + self._interval_ms)

    def _check(self, now_ms: int) -> None:
        if now_ms < self._fired_ms - TOLERATED_STEP_MS:
            msg = (
                f"the clock of this machine went back by {(self._fired_ms - now_ms) / 1000:g} s or more: the job goes "
                "on from its newest checkpoint; keep clocks in step by NTP, which slews them"
            )
            raise ClockSteppedBackError(msg)
