"""The parser that makes a record of the log a behaviour, or a dead letter with its reason.

Nothing here raises on bad input: whatever the bytes are, one of the two comes back.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

import msgspec

from model.actions import ActionTable
from model.event_time import LATEST_MS, wrong_unit
from model.ids import MAX_ID_BYTES, id_text
from udfs.elements import LoggedBehavior

MAX_RAW_BYTES = 64 * 1024
"""Number of the record's first bytes that a dead letter keeps."""
LONGEST_RECORD_BYTES = 1 << 20
"""A longer record is a dead letter."""


class Reason(StrEnum):
    """A reason why a record is a dead letter."""

    NOT_JSON = "not_json"
    MISSING_FIELD = "missing_field"
    MISTYPED_FIELD = "mistyped_field"
    UNKNOWN_ACTION = "unknown_action"
    EMPTY_ID = "empty_id"
    LONG_ID = "long_id"
    IMPOSSIBLE_TIME = "impossible_time"
    LATE = "late"
    LONG_RECORD = "long_record"
    TOMBSTONE = "tombstone"
    OFFSETS_GONE = "offsets_gone"


@dataclass(frozen=True, slots=True)
class Problem:
    """A fault of a record that the log itself knows.

    Attributes:
        reason: why it is a dead letter.
        detail: the fault in words.
        offsets: number of offsets that the record stands for.
    """

    reason: Reason
    detail: str
    offsets: int = 1


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One record of the log as it was read.

    Attributes:
        offset: its number in the partition, from 0.
        raw: its bytes without the line's end; of a record over the log's bound only the first 64 KiB.
        size: how many bytes the whole record has.
        appended_at: when it was appended, epoch ms, where the log itself knows.
        problem: the fault that makes it a dead letter, whatever its bytes are.
        stamped_by_producer: whether the producer's clock may have set that time, as with Kafka's CreateTime.
    """

    partition: int
    offset: int
    raw: bytes
    size: int
    appended_at: int | None = None
    problem: Problem | None = None
    stamped_by_producer: bool = False


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that is no behaviour, and the reason; `timestamp` is its event time where that much was readable."""

    record: LogRecord
    reason: Reason
    detail: str
    timestamp: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsingRules:
    """Rules for accepting a record as a behaviour.

    Attributes:
        actions: the action table; others are unknown.
        earliest_ms: smallest possible event time, epoch ms.
        max_ahead_ms: longest time by which an event time may lie after the time of appending.
        allowed_lateness_ms: longest time by which an event time may lie before the newest of its partition.
        by_clock: whether the reader's clock judges where the log has no time of its own.
    """

    actions: ActionTable
    earliest_ms: int
    max_ahead_ms: int
    allowed_lateness_ms: int
    by_clock: bool


Int32 = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]
_Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class _Line(msgspec.Struct, gc=False):
    """A record's JSON: the fields of `UserBehavior`, and the time the embedded log's writer adds.

    An accepted value has to fit a column of user_behavior: the types' bounds are the columns'.
    """

    user_id: str
    action: str
    item_id: str
    timestamp: _Int64
    event_id: str | None = None
    request_id: str | None = None
    position: Int32 | None = None
    appended_at: _Int64 | None = None


_decode = msgspec.json.Decoder(_Line).decode
_IDS = ("user_id", "item_id", "event_id", "request_id")
_MISSING = re.compile(r"missing required field")


def parse(record: LogRecord, rules: ParsingRules, *, newest_ms: int, now_ms: int) -> LoggedBehavior | DeadLetter:
    """Parse one record, given its partition's newest event time so far (see `newest_after`) and the clock, epoch ms.

    A record with a time of appending is judged by that, whenever it is read.
    """
    if record.problem is not None:
        return DeadLetter(record, record.problem.reason, record.problem.detail)
    if record.size > len(record.raw):
        detail = f"the record has {record.size} bytes: only its beginning was read"
        return DeadLetter(record, Reason.LONG_RECORD, detail)
    try:
        line = _line_of(record.raw)
    except msgspec.ValidationError as error:
        reason = Reason.MISSING_FIELD if _MISSING.search(str(error)) else Reason.MISTYPED_FIELD
        return DeadLetter(record, reason, str(error))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return DeadLetter(record, Reason.NOT_JSON, str(error))
    appended_at = line.appended_at if record.appended_at is None else record.appended_at
    wrong = _wrong_value(record, line, rules) or _wrong_time(
        record, line.timestamp, appended_at, rules, newest_ms=newest_ms, now_ms=now_ms
    )
    if wrong is not None:
        return wrong
    return LoggedBehavior(
        user_id=line.user_id,
        action=line.action,
        item_id=line.item_id,
        timestamp=line.timestamp,
        event_id=line.event_id,
        request_id=line.request_id,
        position=line.position,
        log_partition=record.partition,
        log_offset=record.offset,
        appended_at=appended_at,
    )


def newest_after(newest_ms: int, behavior: LoggedBehavior) -> int:
    """Return the newest event time of a partition after one more behaviour: none moves it beyond its own appending."""
    appended_at = behavior.appended_at
    reached = behavior.timestamp if appended_at is None else min(behavior.timestamp, appended_at)
    return max(newest_ms, reached)


def offsets_gone(letter: DeadLetter) -> int:
    """Return the number of offsets, removed before they were read, that a dead letter reports."""
    problem = letter.record.problem
    return problem.offsets if problem is not None and problem.reason is Reason.OFFSETS_GONE else 0


def _line_of(raw: bytes) -> _Line:
    """Return a record's fields; ids that are whole numbers become their text."""
    try:
        return _decode(raw)
    except msgspec.ValidationError:
        fields = msgspec.json.decode(raw, type=dict[str, Any])
        texts = {name: id_text(fields[name]) for name in _IDS if name in fields}
        return msgspec.convert({**fields, **{name: text for name, text in texts.items() if text is not None}}, _Line)


def _wrong_value(record: LogRecord, line: _Line, rules: ParsingRules) -> DeadLetter | None:
    """Return the dead letter of a value that no record may have, whenever it was appended."""
    for name, identifier in (
        ("user_id", line.user_id),
        ("item_id", line.item_id),
        ("event_id", line.event_id),
        ("request_id", line.request_id or None),
    ):
        if identifier is None:
            continue
        if not identifier:
            return DeadLetter(record, Reason.EMPTY_ID, f"{name} is empty")
        size = len(identifier) if identifier.isascii() else len(identifier.encode())
        if size > MAX_ID_BYTES:
            return DeadLetter(record, Reason.LONG_ID, f"{name} has {size} bytes, over {MAX_ID_BYTES}")
    if (unit := wrong_unit(line.timestamp)) is not None:
        detail = f"timestamp {line.timestamp} is in {unit.name.lower()}: write epoch milliseconds"
        return DeadLetter(record, Reason.IMPOSSIBLE_TIME, detail)
    # Some readers of the tables can't show times beyond these bounds, whatever the settings allow.
    appended_at = line.appended_at if record.appended_at is None else None
    for name, time_ms in (("timestamp", line.timestamp), ("appended_at", appended_at)):
        if time_ms is not None and not 0 <= time_ms <= LATEST_MS:
            return DeadLetter(record, Reason.IMPOSSIBLE_TIME, f"{name} {time_ms} is not within 0 to {LATEST_MS}")
    if line.action not in rules.actions:
        return DeadLetter(record, Reason.UNKNOWN_ACTION, f"action {line.action[:64]!r} is not in the table")
    return None


def _wrong_time(
    record: LogRecord, timestamp: int, appended_at: int | None, rules: ParsingRules, *, newest_ms: int, now_ms: int
) -> DeadLetter | None:
    """Return the dead letter of a time that is too early or too far ahead, or late within its partition."""
    latest_ms = now_ms + rules.max_ahead_ms if rules.by_clock else LATEST_MS
    if appended_at is not None:
        # The log's own time counts, whenever it is read. But a producer whose clock is far ahead stamps both times
        # alike: of its time and the clock's the earlier counts, which is the producer's unless that is still to come.
        by_log = appended_at + rules.max_ahead_ms
        latest_ms = min(by_log, latest_ms) if record.stamped_by_producer else by_log
    latest_ms = min(LATEST_MS, latest_ms)
    if not rules.earliest_ms <= timestamp <= latest_ms:
        appended = "" if appended_at is None else f" of a record appended at {appended_at}"
        detail = f"timestamp {timestamp}{appended} is not within {rules.earliest_ms} to {latest_ms}"
        return DeadLetter(record, Reason.IMPOSSIBLE_TIME, detail)
    # Also where state of an earlier release holds a time that was still to come.
    newest_ms = newest_ms if appended_at is None else min(newest_ms, appended_at)
    if timestamp < newest_ms - rules.allowed_lateness_ms:
        detail = f"{newest_ms - timestamp} ms older than the partition's newest event"
        return DeadLetter(record, Reason.LATE, detail, timestamp)
    return None
