"""The base of every group of settings, and the values they take: numbers between two bounds and texts of one form.

They annotate a field's type: `Annotated[int, Between(1, 10)]`. Any other value, of any type, is refused in one sentence
that says what to give; `bounds_of` finds the bounds again for the table of settings.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, NoReturn, get_args

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, ValidationError, ValidatorFunctionWrapHandler
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from model.event_time import LATEST_MS

Number = int | float | timedelta
_SHOWN = 60


class SettingsGroup(BaseModel):
    """A group of settings: frozen, and unknown names are refused.

    The job gets its settings as JSON, which has no infinity.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True, slots=True)
class Between:
    """A range of numbers of the bounds' own type, both included.

    Attributes:
        low: the smallest number.
        high: the largest number.
    """

    low: Number
    high: Number

    def __str__(self) -> str:
        """Return both bounds in readable form."""
        return f"{_written(self.low)} to {_written(self.high)}"

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return the type's schema with the bounds around it."""
        return core_schema.no_info_wrap_validator_function(self._check, handler(source))

    def _check(self, value: object, inner: ValidatorFunctionWrapHandler) -> Number:
        try:
            number: Number | None = None if isinstance(value, bool) else inner(value)
        except (ValidationError, OverflowError):
            number = None
        if number is None or not self.low <= number <= self.high:  # type: ignore[operator]
            _refuse(f"{_KINDS[type(self.low)]}, {self}", value)
        return number


@dataclass(frozen=True, slots=True)
class Spelled:
    """A text, or path, of a form.

    Attributes:
        form: a description of the form, for the message: "give ...".
        fits: the test for a text of this form.
        max_bytes: the limit of its length in UTF-8.
        secret: whether a text may hold a secret, so that the message does not repeat it.
    """

    form: str
    fits: Callable[[str], object]
    max_bytes: int | None = None
    secret: bool = False

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return the type's schema with the form around it."""
        return core_schema.no_info_wrap_validator_function(self._check, handler(source))

    def _check(self, value: object, inner: ValidatorFunctionWrapHandler) -> object:
        try:
            text = inner(value)
        except ValidationError:
            text = None
        if (
            text is None
            or not self.fits(str(value))
            or (self.max_bytes is not None and len(str(value).encode()) > self.max_bytes)
        ):
            _refuse(self.form, None if self.secret else value)
        return text


def bounds_of(field: FieldInfo) -> Between | None:
    """Return the bounds of a setting that is a number or none; None for other settings."""
    return next((each for each in _annotations(field.annotation, field.metadata) if isinstance(each, Between)), None)


def duration(value: timedelta) -> str:
    """Return a duration as text in the largest unit that gives a whole number; else in seconds."""
    for milliseconds, unit in ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s"), (1, "ms")):
        count = value / timedelta(milliseconds=milliseconds)
        if count >= 1 and count == int(count):
            return f"{int(count):,} {unit}"
    return f"{value.total_seconds():g} s"


def _annotations(annotation: Any, metadata: list[Any]) -> Iterator[Any]:
    yield from metadata
    for part in get_args(annotation):
        yield from _annotations(part, list(getattr(part, "__metadata__", ())))


def _written(number: Number) -> str:
    if isinstance(number, timedelta):
        return duration(number)
    return f"{number:,}".removesuffix(".0")


def _refuse(form: str, value: object) -> NoReturn:
    kind, msg = "value", f"give {form}"
    if value is not None:
        shown = repr(value)
        msg += f", not {shown if len(shown) <= _SHOWN else f'{shown[: _SHOWN - 1]}…'}"
    raise PydanticCustomError(kind, msg)


_KINDS = {int: "a whole number", float: "a number", timedelta: "a duration, as P2D, PT5M or a number of seconds"}


def _is_line(text: str) -> bool:
    """Return whether a text is one line that can be shown."""
    return bool(text.strip()) and not any(unicodedata.category(each) in {"Cc", "Cs", "Zl", "Zp"} for each in text)


def _is_file(text: str) -> bool:
    return _is_line(text) and bool(Path(text).name)


def _is_folder(text: str) -> bool:
    return _is_file(text) and _URL.match(text) is None


def _is_topic(text: str) -> bool:
    return _TOPIC.fullmatch(text) is not None and text not in {".", ".."}


def _are_brokers(text: str) -> bool:
    found = [_BROKER.fullmatch(each) for each in text.split(",")]
    return all(each is not None and 1 <= int(each["port"]) <= 65_535 for each in found)


_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
_TOPIC = re.compile(r"[a-zA-Z0-9._-]{1,249}")
_BROKER = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):(?P<port>[0-9]{1,5})")
_DEVICE = re.compile(r"cpu|cuda(?::[0-9]{1,3})?")
_JOB_NAME = re.compile(r"[^\W_][\w .-]*")
_JOB_NAME_BYTES = 150
"""The limit of a job's name: a file's name may have 255 bytes, and a time, a number and an ending are added."""
_CENTURY = timedelta(days=36_500)
_INSTANT = timedelta(milliseconds=1)

Share = Annotated[float, Between(0.0, 1.0)]
Weight = Annotated[float, Between(0.0, 1_000_000.0)]
LONGEST_LIST = 10_000
Items = Annotated[int, Between(1, LONGEST_LIST)]
"""Items of one list, or around one item."""
Records = Annotated[int, Between(1, 100_000)]
Remembered = Annotated[int, Between(1, 1_000_000)]
"""Items of one user, 8 bytes each, or elements."""
Partitions = Annotated[int, Between(1, 100_000)]
Subtasks = Annotated[int, Between(1, 32_768)]
"""Flink's largest max parallelism."""
Milliseconds = Annotated[int, Between(1, 3_600_000)]
EpochMs = Annotated[int, Between(0, LATEST_MS)]
Mebibytes = Annotated[int, Between(1, 2**20)]
MebibytesOrNone = Annotated[int, Between(0, 2**20)]
Lateness = Annotated[timedelta, Between(timedelta(0), _CENTURY)]
Duration = Annotated[timedelta, Between(_INSTANT, _CENTURY)]
Interval = Annotated[timedelta, Between(timedelta(milliseconds=10), timedelta(days=1))]
ShortInterval = Annotated[timedelta, Between(_INSTANT, timedelta(days=1))]

Line = Annotated[str, Spelled("one line of text", _is_line, secret=True)]
Name = Annotated[str, Spelled("a name on one line, of 1 to 255 bytes", _is_line, max_bytes=255)]
JobName = Annotated[
    str,
    Spelled(
        "letters, digits, spaces and . _ - only, a letter or digit first, at most 150 bytes",
        _JOB_NAME.fullmatch,
        max_bytes=_JOB_NAME_BYTES,
    ),
]
Topic = Annotated[
    str, Spelled("a topic's name, 1 to 249 letters, digits and . _ - and more than one or two dots", _is_topic)
]
Brokers = Annotated[str, Spelled("HOST:PORT, several with commas between and no blanks", _are_brokers)]
Device = Annotated[str, Spelled("cpu, cuda or a certain one, as cuda:1", _DEVICE.fullmatch)]
Folder = Annotated[Path, Spelled("the path of a folder that every machine of the cluster has", _is_folder)]
File = Annotated[Path, Spelled("the path of a file", _is_file)]
