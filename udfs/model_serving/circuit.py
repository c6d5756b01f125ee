"""A circuit breaker for a model that is late again and again.

Pure; the clock is passed in, in seconds.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CircuitRules:
    """Limits of a circuit.

    Attributes:
        timeouts: it opens after so many in a row.
        cool_down_s: time without calls after it opened.
        longest_cool_down_s: the cool-down doubles with every probe that is late, up to this.
    """

    timeouts: int = 3
    cool_down_s: float = 1.0
    longest_cool_down_s: float = 5.0


class Circuit:
    """A circuit breaker.

    Closed: the model is called. Open: it is not called until the cool-down is over; the call after that is a probe.
    """

    def __init__(self, rules: CircuitRules) -> None:
        self._rules = rules
        self._timeouts = 0
        self._open_until: float | None = None
        self._cool_down_s = rules.cool_down_s

    @property
    def is_open(self) -> bool:
        """Return whether it opened, and nothing was answered in time since."""
        return self._open_until is not None

    def refuses(self, now: float) -> bool:
        """Return whether the model must not be called now."""
        return self._open_until is not None and now < self._open_until

    def in_time(self) -> None:
        """Close: the model answered within its deadline."""
        self._timeouts = 0
        self._open_until = None
        self._cool_down_s = self._rules.cool_down_s

    def timed_out(self, now: float) -> None:
        """Count a missed deadline: open at the last of so many in a row, or again if the call was a probe."""
        self._timeouts += 1
        if self.is_open or self._timeouts >= self._rules.timeouts:
            self.open(now)

    def open(self, now: float) -> None:
        """Open for one cool-down; the next one is twice as long, up to the longest."""
        self._open_until = now + self._cool_down_s
        self._cool_down_s = min(2 * self._cool_down_s, self._rules.longest_cool_down_s)
