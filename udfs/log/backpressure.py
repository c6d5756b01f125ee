"""Pauses between polls while the operators downstream are slower than the log.

Flink handles a checkpoint barrier only when no timer is due and the operator's output has room. A poll that had to
wait for room leaves none behind, and the next timer is due at once: no checkpoint would complete before the backlog is
read. So after a poll that waited, all partitions of the subtask pause for as long as it waited; meanwhile downstream
works from its buffers. Pure: the clock is passed in.
"""

_LONGEST_PAUSE_MS = 2_000
"""With 250 ms no room was made where downstream did 460 behaviours a second: barriers waited for over a minute."""
_LONGEST_PAUSE_WHEN_FULL_MS = 250
"""So that downstream, once its queue is short again, does not wait longer than this for more."""
_UNHINDERED_MS = 5
"""A poll that took no longer did not wait for downstream."""


class BackpressurePause:
    """The pause of one subtask's partitions, and the order in which they are polled after it."""

    def __init__(self) -> None:
        self.until_ms = 0
        self._polled_ms: dict[int, int] = {}

    def polled(self, key: int, began_ms: int, done_ms: int) -> None:
        """Note that a partition was polled, and all it held handed on, between the two moments (epoch ms).

        After a poll that waited for downstream, all partitions pause.
        """
        self._polled_ms[key] = done_ms
        waited_ms = done_ms - began_ms
        if waited_ms > _UNHINDERED_MS:
            self._pause_until(done_ms + min(waited_ms, _LONGEST_PAUSE_MS))

    def full(self, now_ms: int, interval_ms: int) -> None:
        """Pause, as downstream has enough queued, for half the time since the last poll.

        That is at least one interval, and otherwise 250 ms at most.
        """
        since_ms = now_ms - max(self._polled_ms.values(), default=now_ms)
        self._pause_until(now_ms + max(interval_ms, min(since_ms // 2, _LONGEST_PAUSE_WHEN_FULL_MS)))

    def _pause_until(self, until_ms: int) -> None:
        self.until_ms = max(self.until_ms, until_ms)

    def turn(self, key: int) -> int:
        """Return when this partition may try again, epoch ms: the one that has waited longest goes first."""
        mine = self._polled_ms.get(key, 0)
        return self.until_ms + sum(1 for other in self._polled_ms.values() if other < mine)
