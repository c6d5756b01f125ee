"""Event times: the unit of a number by the range it lies in, and ISO 8601 text.

A behaviour is of 1973 to 2286. In that range the numbers of the four units do not overlap, so that a number shows
its unit; a unit is never guessed for a number that lies in none of the ranges.
"""

import math
import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from functools import lru_cache

from model.errors import RecloopError
from model.records import EpochMs

_EARLIEST_PLAUSIBLE_S = 10**8  # 1973-03-03
_LATEST_PLAUSIBLE_S = 10**10  # 2286-11-20
LATEST_MS: EpochMs = 253_402_300_799_999
"""The end of the year 9999, the last one that tables and programming languages can express."""
MAX_AHEAD_MS = 86_400_000
"""The longest time by which an event may lie after its record was appended, unless the settings say otherwise."""
ALLOWED_LATENESS_MS = 7 * 86_400_000
"""The longest time by which it may lie before its partition's newest one, unless the settings say otherwise."""

ISO = "ISO 8601"
ISO_WITHOUT_ZONE = "ISO 8601 without an offset, taken as UTC"
MONTH_FIRST = "month/day/year hour:minute, taken as UTC"
_WHOLE = re.compile(r"[+-]?[0-9]{1,30}")
_DECIMAL = re.compile(r"[+-]?[0-9]{1,30}\.[0-9]*(?:[eE][+]?[0-9]{1,2})?|[+-]?[0-9]{1,30}[eE][+]?[0-9]{1,2}")
_US_FORMAT = "%m/%d/%Y %H:%M"
_SLASHED = re.compile(r"\s*([0-9]{1,2})/([0-9]{1,2})/[0-9]{4}\s")
_MONTHS, _DAYS = 12, 31
_AFTER_9999 = re.compile(r"\+?(?:0*[1-9][0-9]{4,}-[0-9]{2}-[0-9]{2}.*|infinity)")
_BEFORE_CHRIST = re.compile(r"-(?:[0-9]+-[0-9]{2}-[0-9]{2}.*|infinity)")
_AFTER, _BEFORE = "timestamp after the year 9999", "timestamp before 1970"


class EventTimeError(RecloopError, ValueError):
    """A value that is no event time; the text says why."""


class Unit(Enum):
    """A unit of epoch times; the value is the number of units in a second."""

    SECONDS = 1
    MILLISECONDS = 10**3
    MICROSECONDS = 10**6
    NANOSECONDS = 10**9

    # Used once per row each, for which Enum's own `value` and hash, functions in Python, are slow.
    __hash__ = object.__hash__

    def __init__(self, per_second: int) -> None:
        self.per_second = per_second

    def to_ms(self, value: float) -> EpochMs:
        """Return the epoch milliseconds of a number in this unit, rounded down; integers are computed exactly."""
        if isinstance(value, float):
            return math.floor(value * 1000 / self.per_second)
        return value * 1000 // self.per_second


_RANGES = tuple((_EARLIEST_PLAUSIBLE_S * unit.value, _LATEST_PLAUSIBLE_S * unit.value, unit) for unit in Unit)
UNITS = {"s": Unit.SECONDS, "ms": Unit.MILLISECONDS, "us": Unit.MICROSECONDS, "ns": Unit.NANOSECONDS}
"""The units by the names that a user gives."""


def unit_of(value: float) -> Unit | None:
    """Return the unit in which a number is a time of 1973 to 2286, or None if there is none."""
    for earliest, latest, unit in _RANGES:
        if earliest <= value < latest:
            return unit
    return None


def wrong_unit(timestamp: EpochMs) -> Unit | None:
    """Return the unit that a timestamp seems to be in, if that is not milliseconds; otherwise None."""
    unit = unit_of(timestamp)
    return None if unit is Unit.MILLISECONDS else unit


@dataclass(slots=True)
class EventTimes:
    """The reading of one source's times, and the counts of their units.

    Attributes:
        documented: the unit that the source's format promises; None if it promises none.
        given: the unit that the user gives; all numbers are in it.
        seen: unit or form -> times that were read in it.
        doubtful: unit -> times that would be plausible in it, but were read in the given one.
        early: numbers that are plausible in no unit and were read in the given or promised one.
        either: dates that were read as month/day/year, and would be others as day/month/year.
        day_first: dates that are some only as day/month/year.
    """

    documented: Unit | None = None
    given: Unit | None = None
    seen: Counter[Unit | str] = field(default_factory=Counter)
    doubtful: Counter[Unit] = field(default_factory=Counter)
    early: int = 0
    either: int = 0
    day_first: int = 0

    def to_ms(self, value: float | str) -> EpochMs:
        """Return the epoch milliseconds of a source's time, and count its unit.

        Raises:
            EventTimeError: it is no number and no ISO 8601, or not within 1970 to 9999, or in no unit plausible.
        """
        if isinstance(value, str):
            text = value.strip()
            if _WHOLE.fullmatch(text):
                value = int(text)
            elif _DECIMAL.fullmatch(text):
                value = float(text)
            else:
                return self._date_ms(text)
        return self._number_ms(value)

    def contradiction(self) -> str | None:
        """Return the sentence for dates that were read as month/day/year though others have the day first, or None."""
        if not (self.either and self.day_first):
            return None
        found = f"{self.day_first:,} times can only be day/month/year, and {self.either:,} others can be either"
        return f"{found} that or month/day/year: write all of them in ISO 8601, as in 2023-11-25T10:00"

    def _date_ms(self, text: str) -> EpochMs:
        try:
            time_ms, form = _text_ms(text)
        except EventTimeError:
            numbers = _first_numbers(text)
            self.day_first += numbers is not None and numbers[1] <= _MONTHS < numbers[0] <= _DAYS
            raise
        if form is MONTH_FIRST and (numbers := _first_numbers(text)):
            self.either += numbers[0] != numbers[1] <= _MONTHS
        return self._counted(time_ms, form)

    def _number_ms(self, value: float) -> EpochMs:
        if isinstance(value, float) and not math.isfinite(value):
            msg = "timestamp is no number"
            raise EventTimeError(msg)
        if isinstance(value, float) and value.is_integer():
            value = int(value)  # an int overflows in no unit
        plausible = unit_of(value)
        unit = self.given or plausible or self._promised(value)
        if plausible is None:
            self.early += 1
        elif plausible is not unit:
            self.doubtful[plausible] += 1
        return self._counted(unit.to_ms(value), unit)

    def _promised(self, value: float) -> Unit:
        if self.documented is None:
            msg = "timestamp is of 1973 to 2286 in no unit (--time-unit says which it is)"
            raise EventTimeError(msg)
        if isinstance(value, float):
            msg = "timestamp is no whole number"
            raise EventTimeError(msg)
        return self.documented

    def _counted(self, time_ms: EpochMs, form: Unit | str) -> EpochMs:
        if not 0 <= time_ms <= LATEST_MS:
            raise EventTimeError(_BEFORE if time_ms < 0 else _AFTER)
        self.seen[form] += 1
        return time_ms


@lru_cache(maxsize=4096)  # the lines of an invoice share their time
def _text_ms(text: str) -> tuple[EpochMs, str]:
    """Return the epoch milliseconds and the form of ISO 8601 or month/day/year hour:minute; UTC without an offset."""
    zoned = re.sub(r"\s*(?:UTC|GMT)$", "+00:00", text)
    try:
        time = datetime.fromisoformat(zoned)
        form = ISO if time.tzinfo else ISO_WITHOUT_ZONE
    except ValueError:
        try:
            time, form = datetime.strptime(text, _US_FORMAT), MONTH_FIRST
        except ValueError:
            if _AFTER_9999.fullmatch(text):
                raise EventTimeError(_AFTER) from None
            if _BEFORE_CHRIST.fullmatch(text):
                raise EventTimeError(_BEFORE) from None
            msg = "timestamp is neither a number nor ISO 8601"
            raise EventTimeError(msg) from None
    since = (time if time.tzinfo else time.replace(tzinfo=UTC)) - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000, form


def _first_numbers(text: str) -> tuple[int, int] | None:
    """Return the two numbers before the slashes of a date."""
    found = _SLASHED.match(text)
    return (int(found[1]), int(found[2])) if found else None
