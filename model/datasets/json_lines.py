"""Behaviours as JSON lines: the project's own format, as a reader and as the prepared file's encoding."""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec

from model.datasets.action_map import ActionMap
from model.datasets.errors import PREPARE_AGAIN, NotPreparedError, SourceError
from model.datasets.reading import PLAIN, BehaviorMaker, Format, Item, Raw, ReadReport
from model.datasets.text_files import LONGEST_LINE, counted, line_problem, open_lines
from model.event_time import LATEST_MS, EventTimes, Unit
from model.ids import id_text
from model.records import ItemId, UserBehavior

Row = TypeVar("Row")
NOT_JSON = "the line is no JSON"
_Position = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]
_AppendedMs = Annotated[int, msgspec.Meta(ge=0, le=LATEST_MS)]
_ARRAY = re.compile(r"\s*\[\s*(?:$|[{\[])")
BEHAVIOR = msgspec.json.Decoder(UserBehavior)
_ENCODER = msgspec.json.Encoder()
_OPTIONAL = ("event_id", "request_id", "position")


def encode_behavior(behavior: UserBehavior) -> bytes:
    """Encode a behaviour as one JSON object without a line end; optional fields that are None are left out."""
    fields: dict[str, object] = {
        "user_id": behavior.user_id,
        "action": behavior.action,
        "item_id": behavior.item_id,
        "timestamp": behavior.timestamp,
    }
    for name in _OPTIONAL:
        value = getattr(behavior, name)
        if value is not None:
            fields[name] = value
    return _ENCODER.encode(fields)


def decode_behavior(line: bytes) -> UserBehavior:
    """Decode a behaviour from one JSON object, strictly typed.

    Raises:
        msgspec.DecodeError: the line is no JSON, a field is missing or of another type.
    """
    return BEHAVIOR.decode(line)


def read_behaviors(path: Path) -> Iterator[UserBehavior]:
    """Yield the behaviours of a prepared file; errors as in `decoded`."""
    with path.open("rb") as lines:
        yield from decoded(lines, path, BEHAVIOR)


def decoded(lines: Iterable[bytes], path: Path, decoder: msgspec.json.Decoder[Row]) -> Iterator[Row]:
    """Yield the records of a prepared file's lines.

    Raises:
        NotPreparedError: a line is damaged.
    """
    for number, line in enumerate(lines, start=1):
        try:
            record = decoder.decode(line)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            msg = f"{path}, line {number}, is damaged ({error}); {PREPARE_AGAIN}"
            raise NotPreparedError(msg) from error
        yield record


class _Line(msgspec.Struct, gc=False):
    """A line of a user's own log: ids may be numbers, the time any that `EventTimes` reads.

    In all else a line is taken or left out as the job (`udfs.log.parsing`) does it.
    """

    user_id: str | int | float
    action: str | int | float
    item_id: str | int | float
    timestamp: int | float | str
    event_id: str | int | float | None = None
    request_id: str | int | float | None = None
    position: _Position | None = None
    appended_at: _AppendedMs | None = None


class JsonLinesReader:
    """Reader of a user's own JSON lines: {"user_id", "action", "item_id", "timestamp" in ms, ...} a line."""

    def __init__(self, path: Path, actions: ActionMap, form: Format = PLAIN) -> None:
        self._path = path
        self._encoding = form.encoding
        self.times = EventTimes(documented=Unit.MILLISECONDS, given=form.time_unit)
        self.catalogue = ReadReport()
        self._maker = BehaviorMaker(actions, self.times)
        self._decode = msgspec.json.Decoder(_Line).decode

    def behaviors(self, report: ReadReport) -> Iterator[UserBehavior]:
        """Yield the behaviour of every valid line; blank lines are not rows.

        Raises:
            SourceError: the file is one JSON array, or cannot be read.
        """
        with open_lines(self._path, self._encoding, line_end="\n") as lines:
            for line in counted(lines, report):
                if report.rows == 0 and _ARRAY.match(line):
                    msg = (
                        f"{self._path} is a JSON array, not a JSON object per line; make it such: "
                        f"jq -c '.[]' {self._path.name} > lines.jsonl"
                    )
                    raise SourceError(msg)
                report.begin(line)
                raw = self._raw(line, report)
                if raw is not None and (behavior := self._maker.make(raw, report)) is not None:
                    yield behavior

    def items(self) -> Mapping[ItemId, Item]:
        """Return no items: such a log has no catalogue; --items gives one."""
        return {}

    def _raw(self, line: str, report: ReadReport) -> Raw | None:
        if problem := line_problem(line, self._encoding):
            report.skip(problem)
            return None
        # The job reads no record of more bytes in UTF-8, which has four a character at most.
        if len(line) > LONGEST_LINE // 4 and len(line.encode()) > LONGEST_LINE:
            report.skip(f"the line has over {LONGEST_LINE:,} bytes")
            return None
        try:
            row = self._decode(line)
        except msgspec.ValidationError as error:
            report.skip(f"no behaviour: {error}")
            return None
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            report.skip(NOT_JSON)
            return None
        report.appended_ms = row.appended_at
        user_id, item_id = id_text(row.user_id), id_text(row.item_id)
        event_id, request_id = id_text(row.event_id), id_text(row.request_id)
        if user_id is None or item_id is None:
            report.skip(f"{'user_id' if user_id is None else 'item_id'} is neither text nor a whole number")
            return None
        if (event_id, request_id).count(None) != (row.event_id, row.request_id).count(None):
            report.skip("event_id or request_id is neither text nor a whole number")
            return None
        return Raw(
            user_id=user_id,
            item_id=item_id,
            action=str(row.action),
            time=row.timestamp,
            event_id=event_id,
            request_id=request_id,
            position=row.position,
        )
