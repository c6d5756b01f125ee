"""The time in which a scorer has nothing under way: the gaps between Flink's bundles.

PyFlink hands a worker a bundle of elements, and the next one only when all of it is answered. Meanwhile no model is
asked. Pure: no Flink, no clock.
"""

_LONGEST_GAP_S = 1.0
"""A longer gap is one of the log: there was nothing to hand over."""


class IdleTime:
    """The gaps of one scorer since they were last taken; times are seconds of a clock that never steps back."""

    def __init__(self) -> None:
        self._under_way = 0
        self._idle_since: float | None = None
        self._gaps = 0
        self._gap_s = 0.0

    def begin(self, now: float) -> None:
        """Note that an element came."""
        if self._under_way == 0 and self._idle_since is not None:
            gap = now - self._idle_since
            if gap < _LONGEST_GAP_S:
                self._gaps += 1
                self._gap_s += gap
        self._under_way += 1

    def end(self, now: float) -> None:
        """Note that an element is done."""
        self._under_way -= 1
        self._idle_since = now

    def take(self) -> tuple[int, int]:
        """Return the number of gaps and their whole milliseconds since the last call; a rest waits for the next."""
        gaps, whole_ms = self._gaps, int(self._gap_s * 1000)
        self._gaps = 0
        self._gap_s -= whole_ms / 1000
        return gaps, whole_ms
