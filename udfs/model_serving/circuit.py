"""Circuit: when a model that was late again and again is asked once more.

Pure; the clock is passed in, in seconds.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CircuitRules:
    """When it opens, and for how long.

    Attributes:
        timeouts: it opens after so many in a row.
        cool_down_s: how long nothing is asked after it opened.
        longest_cool_down_s: the cool-down doubles with every probe that is late, up to this.
    """

    timeouts: int = 3
    cool_down_s: float = 1.0
    longest_cool_down_s: float = 5.0


class Circuit:
    """Closed: the model is asked. Open: it is not, until the cool-down is over; what is asked then is a probe."""

    def __init__(self, rules: CircuitRules) -> None:
        self._rules = rules
        self._timeouts = 0
        self._open_until: float | None = None
        self._cool_down_s = rules.cool_down_s

    @property
    def is_open(self) -> bool:
        """Whether nothing was answered in time since it opened."""
        return self._open_until is not None

    def refuses(self, now: float) -> bool:
        """Whether the model may not be asked."""
        return self._open_until is not None and now < self._open_until

    def in_time(self) -> None:
        """The model answered within its deadline: closes."""
        self._timeouts = 0
        self._open_until = None
        self._cool_down_s = self._rules.cool_down_s

    def timed_out(self, now: float) -> None:
        """The model did not: opens at the last of so many in a row, or, as a probe it was, again."""
        self._timeouts += 1
        if self.is_open or self._timeouts >= self._rules.timeouts:
            self.open(now)

    def open(self, now: float) -> None:
        """Opens for one cool-down; the next one is twice as long."""
        self._open_until = now + self._cool_down_s
        self._cool_down_s = min(2 * self._cool_down_s, self._rules.longest_cool_down_s)
