"""Every record becomes a behaviour or a dead letter that says why; nothing raises, nothing half-valid goes on."""

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.event_time import LATEST_MS
from model.ids import MAX_ID_BYTES
from tests.unit.udfs.default_rules import PARSING
from tests.unit.udfs.examples import NOW_MS, record
from udfs.elements import LoggedBehavior, PolledElement, decode_polled, encode
from udfs.log.log_rows import dead_letter_row
from udfs.log.parsing import DeadLetter, LogRecord, Reason, parse
from udfs.rows import to_lines
from udfs.users.behavior_row import user_behavior_row

GOOD: dict[str, Any] = {"user_id": "u", "action": "click", "item_id": "i", "timestamp": NOW_MS}
DAY_MS = 86_400_000


def line(**changes: Any) -> bytes:
    return json.dumps({**GOOD, **changes}).encode()


def parsed(raw: bytes, *, newest_ms: int = 0) -> LoggedBehavior | DeadLetter:
    return parse(record(raw), PARSING, newest_ms=newest_ms, now_ms=NOW_MS)


def reason(raw: bytes, *, newest_ms: int = 0) -> Reason:
    letter = parsed(raw, newest_ms=newest_ms)
    assert isinstance(letter, DeadLetter)
    return letter.reason


BAD = [
    (b"", Reason.NOT_JSON),
    (b"not json", Reason.NOT_JSON),
    (b"\xff\xfe", Reason.NOT_JSON),
    (line(user_id="\ud800"), Reason.NOT_JSON),
    (b'{"user_id":"\xed\xa0\x80","action":"click","item_id":"i","timestamp":1}', Reason.NOT_JSON),
    (line(x=float("nan")), Reason.NOT_JSON),
    (line()[:-1] + b', "x": ' + b"[" * 100_000, Reason.NOT_JSON),
    (b"{}", Reason.MISSING_FIELD),
    (b"[]", Reason.MISTYPED_FIELD),
    (line(user_id=1.5), Reason.MISTYPED_FIELD),
    (line(user_id=True), Reason.MISTYPED_FIELD),
    (line(user_id=7, item_id=[7]), Reason.MISTYPED_FIELD),
    (line(item_id=10**300), Reason.LONG_ID),
    (line(user_id=7, timestamp="1"), Reason.MISTYPED_FIELD),
    (line(item_id=None), Reason.MISTYPED_FIELD),
    (line(timestamp="1"), Reason.MISTYPED_FIELD),
    (line(timestamp=True), Reason.MISTYPED_FIELD),
    (line(timestamp=1.0), Reason.MISTYPED_FIELD),
    (line(timestamp=2**63), Reason.MISTYPED_FIELD),
    (line(position=10**400), Reason.MISTYPED_FIELD),
    (line(appended_at=-(2**64)), Reason.MISTYPED_FIELD),
    (line(position=2**31), Reason.MISTYPED_FIELD),
    (line(position=-(2**31) - 1), Reason.MISTYPED_FIELD),
    (line(request_id="x" * (MAX_ID_BYTES + 1)), Reason.LONG_ID),
    (line(timestamp=2**63 - 1), Reason.IMPOSSIBLE_TIME),
    (line(appended_at=2**63 - 1), Reason.IMPOSSIBLE_TIME),
    (line(appended_at=-1), Reason.IMPOSSIBLE_TIME),
    (line(action="gaze"), Reason.UNKNOWN_ACTION),
    (line(user_id=""), Reason.EMPTY_ID),
    (line(item_id=""), Reason.EMPTY_ID),
    (line(event_id=""), Reason.EMPTY_ID),
    (line(user_id="x" * (MAX_ID_BYTES + 1)), Reason.LONG_ID),
    (line(item_id="é" * (MAX_ID_BYTES // 2 + 1)), Reason.LONG_ID),
    (line(timestamp=-1), Reason.IMPOSSIBLE_TIME),
    (line(timestamp=NOW_MS + DAY_MS + 1), Reason.IMPOSSIBLE_TIME),
]


@pytest.mark.parametrize(("raw", "why"), BAD, ids=[f"{why}-{number}" for number, (_, why) in enumerate(BAD)])
def test_a_bad_record_is_a_dead_letter_with_its_reason(raw: bytes, why: Reason) -> None:
    assert reason(raw) is why


@pytest.mark.parametrize(
    ("timestamp", "unit"),
    [(NOW_MS // 1000, "seconds"), (NOW_MS * 1000, "microseconds"), (NOW_MS * 1_000_000, "nanoseconds")],
)
def test_a_time_in_another_unit_is_impossible_and_the_unit_is_named(timestamp: int, unit: str) -> None:
    letter = parsed(line(timestamp=timestamp))
    assert isinstance(letter, DeadLetter)
    assert letter.reason is Reason.IMPOSSIBLE_TIME
    assert f" in {unit}:" in letter.detail


@given(st.integers(-(2**70), 2**70), st.integers(-(2**70), 2**70), st.booleans())
def test_ids_that_are_whole_numbers_are_their_text(user: int, item: int, as_float: bool) -> None:
    written = float(user % 2**53) if as_float else user
    behavior = parsed(line(user_id=written, item_id=item, event_id="e", position=4))
    texts = line(user_id=str(int(written)), item_id=str(item), event_id="e", position=4)
    assert isinstance(behavior, LoggedBehavior)
    assert behavior == parsed(texts)


def test_a_record_that_was_read_in_part_is_a_dead_letter() -> None:
    cut = record(line(), size=2_000_000)
    letter = parse(cut, PARSING, newest_ms=0, now_ms=NOW_MS)
    assert isinstance(letter, DeadLetter)
    assert letter.reason is Reason.LONG_RECORD


def test_a_late_record_is_a_dead_letter_that_keeps_its_event_time() -> None:
    letter = parsed(line(timestamp=NOW_MS - 8 * DAY_MS), newest_ms=NOW_MS)
    assert isinstance(letter, DeadLetter)
    assert (letter.reason, letter.timestamp) == (Reason.LATE, NOW_MS - 8 * DAY_MS)


@pytest.mark.parametrize(
    "changes",
    [
        {"timestamp": 0},
        {"timestamp": NOW_MS + DAY_MS},
        {"user_id": "x" * MAX_ID_BYTES},
        {"item_id": "é" * (MAX_ID_BYTES // 2)},
        {"user_id": "\0"},
        {"unknown": {"nested": [1, {}]}},
        {"event_id": None, "position": 0, "request_id": ""},
        {"position": 2**31 - 1, "request_id": "é" * (MAX_ID_BYTES // 2), "appended_at": LATEST_MS},
        {"position": -(2**31), "appended_at": NOW_MS - DAY_MS},
    ],
)
def test_what_is_just_within_the_bounds_is_a_behavior(changes: dict[str, Any]) -> None:
    assert isinstance(parsed(line(**changes)), LoggedBehavior)


def test_a_record_as_late_as_allowed_is_a_behavior() -> None:
    assert isinstance(parsed(line(), newest_ms=NOW_MS + 7 * DAY_MS), LoggedBehavior)


def test_of_a_doubled_key_the_last_counts() -> None:
    behavior = parsed(line()[:-1] + b', "user_id": "last"}')
    assert isinstance(behavior, LoggedBehavior)
    assert behavior.user_id == "last"


def test_a_behavior_says_where_the_log_holds_it() -> None:
    behavior = parsed(line(event_id="e", request_id="r", position=4, appended_at=NOW_MS + 5))
    assert behavior == LoggedBehavior("u", "click", "i", NOW_MS, "e", "r", 4, 3, 17, NOW_MS + 5)


def test_no_setting_lets_a_time_beyond_the_calendars_through() -> None:
    rules = replace(PARSING, max_ahead_ms=2**63)
    letter = parse(record(line(timestamp=LATEST_MS + 1)), rules, newest_ms=0, now_ms=NOW_MS)
    assert isinstance(letter, DeadLetter)
    assert letter.reason is Reason.IMPOSSIBLE_TIME
    newest = 10**14 - 1  # from there on a number is a time in microseconds
    assert isinstance(parse(record(line(timestamp=newest)), rules, newest_ms=0, now_ms=NOW_MS), LoggedBehavior)


def test_a_records_time_of_appending_does_not_matter_where_the_log_knows_it() -> None:
    behavior = parse(LogRecord(0, 0, line(appended_at=-1), 1, NOW_MS + 7), PARSING, newest_ms=0, now_ms=NOW_MS)
    assert isinstance(behavior, LoggedBehavior)
    assert behavior.appended_at == NOW_MS + 7


def test_the_logs_own_time_of_appending_goes_before_the_records() -> None:
    behavior = parse(LogRecord(0, 0, line(appended_at=5), 1, NOW_MS + 7), PARSING, newest_ms=0, now_ms=NOW_MS)
    assert isinstance(behavior, LoggedBehavior)
    assert behavior.appended_at == NOW_MS + 7


numbers = st.integers() | st.floats() | st.sampled_from([2**63 - 1, 2**63, -(2**63) - 1, 10**400])
texts = st.text(max_size=4) | st.sampled_from(["\ud800", "\0", "click", "\U0001f600", "x" * 300])
scalars = st.none() | st.booleans() | numbers | texts
values = scalars | st.lists(scalars, max_size=1) | st.dictionaries(texts, scalars, max_size=1)
fields = {name: st.just(good) | st.just(good) | values for name, good in GOOD.items()}
optional = dict.fromkeys(("event_id", "request_id", "position", "appended_at", "other"), values)
objects = st.fixed_dictionaries(fields, optional=optional)
json_lines = st.builds(lambda value, ascii_only: dumps(value, ascii_only=ascii_only), objects, st.booleans())
cut_lines = st.builds(lambda raw, start, end: raw[start:end], json_lines, st.integers(0, 3), st.integers(-3, 200))
doubled = st.builds(lambda one, two: one[:-1] + b"," + two[1:], json_lines, json_lines)


def dumps(value: object, *, ascii_only: bool) -> bytes:
    """JSON with lone surrogates as they are in memory: escaped, or as (invalid) bytes."""
    return json.dumps(value, ensure_ascii=ascii_only).encode(errors="surrogatepass")


@given(st.binary(max_size=64) | json_lines | cut_lines | doubled)
def test_whatever_the_bytes_are_what_comes_back_can_be_handed_on_and_written(raw: bytes) -> None:
    found = parsed(raw)
    if isinstance(found, DeadLetter):
        row = json.loads(to_lines([dead_letter_row(found, now_ms=NOW_MS, epoch=1)]))
        assert base64.b64decode(row["raw_base64"]) == raw
    else:
        assert decode_polled(encode(PolledElement(1, [found]))).behaviors == [found]
        row = json.loads(to_lines([user_behavior_row(found, 1, now_ms=NOW_MS, epoch=1)]))
        assert row["user_id"] == found.user_id
