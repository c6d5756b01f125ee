"""What is late or impossible is a fact of the log: it does not depend on when, or in which portions, it is read."""

import json
from dataclasses import replace
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.event_time import LATEST_MS
from tests.unit.udfs.default_rules import PARSING
from tests.unit.udfs.examples import NOW_MS
from udfs.elements import LoggedBehavior
from udfs.log.kafka_records import log_record
from udfs.log.parsing import DeadLetter, LogRecord, ParsingRules, Reason, newest_after, parse

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
APPLIED = None
NEVER_MS = LATEST_MS * 2
REPLAYABLE = replace(PARSING, by_clock=False)
TIGHT = replace(PARSING, allowed_lateness_ms=0, max_ahead_ms=DAY_MS)


def line(timestamp: int, appended_at: int | None = None) -> bytes:
    event = {"user_id": "u", "action": "click", "item_id": "i", "timestamp": timestamp, "appended_at": appended_at}
    return json.dumps(event).encode()


def embedded(timestamp: int, appended_at: int | None) -> LogRecord:
    raw = line(timestamp, appended_at)
    return LogRecord(0, 0, raw, len(raw))


def of_kafka(timestamp: int, appended_at: int | None) -> LogRecord:
    return log_record(0, 0, appended_at, line(timestamp))


def outcomes(records: list[LogRecord], rules: ParsingRules, clocks: list[int]) -> list[Reason | None]:
    """Of records that are read one after the other, each by its own clock; with the state after each."""
    newest_ms, found = 0, []
    for record, now_ms in zip(records, clocks, strict=True):
        parsed = parse(record, rules, newest_ms=newest_ms, now_ms=now_ms)
        if isinstance(parsed, LoggedBehavior):
            newest_ms = newest_after(newest_ms, parsed)
        found.append(parsed.reason if isinstance(parsed, DeadLetter) else APPLIED)
    return found


times = st.integers(10**11, NOW_MS) | st.integers(NOW_MS - 9 * DAY_MS, NOW_MS + 2 * DAY_MS) | st.just(10**14 - 1)
distances = st.integers(0, 9 * DAY_MS) | st.sampled_from([0, 1, HOUR_MS])
rules = st.builds(
    replace,
    st.sampled_from([PARSING, REPLAYABLE]),
    allowed_lateness_ms=distances,
    max_ahead_ms=distances,
    earliest_ms=st.sampled_from([0, NOW_MS - DAY_MS]),
)


@st.composite
def clocks(draw: st.DrawFn, records: int) -> list[int]:
    """Of readers that come after the append, at any speed."""
    first = draw(st.integers(NOW_MS, NOW_MS + 10_000 * DAY_MS))
    steps = draw(st.lists(st.integers(0, DAY_MS), min_size=records, max_size=records))
    return list(accumulate(steps, initial=first))[1:]


@given(st.lists(st.tuples(times, st.integers(NOW_MS - 9 * DAY_MS, NOW_MS)), max_size=20), rules, st.data())
@pytest.mark.parametrize("as_record", [embedded, of_kafka])
def test_any_two_readings_of_a_log_that_knows_its_times_are_equal(
    as_record: object, log: list[tuple[int, int]], judge: ParsingRules, data: st.DataObject
) -> None:
    assert callable(as_record)
    records = [as_record(*each) for each in log]
    first, second = (outcomes(records, judge, data.draw(clocks(len(records)))) for _ in range(2))
    assert first == second


@given(st.lists(st.tuples(times, st.none() | times), max_size=20), st.data())
@pytest.mark.parametrize("as_record", [embedded, of_kafka])
def test_a_replayable_job_never_asks_a_clock(
    as_record: object, log: list[tuple[int, int | None]], data: st.DataObject
) -> None:
    assert callable(as_record)
    records = [as_record(*each) for each in log]
    readers = st.lists(st.integers(0, NEVER_MS), min_size=len(records), max_size=len(records))
    first, second = (outcomes(records, REPLAYABLE, data.draw(readers)) for _ in range(2))
    assert first == second


@given(times, st.integers(0, DAY_MS))
def test_a_time_is_impossible_by_its_append_alone(timestamp: int, later_ms: int) -> None:
    found = outcomes([embedded(timestamp, NOW_MS)], PARSING, [NOW_MS + later_ms])
    assert found == [Reason.IMPOSSIBLE_TIME if timestamp > NOW_MS + DAY_MS else APPLIED]


@given(st.lists(st.integers(NOW_MS, NOW_MS + DAY_MS), min_size=1, max_size=9))
@pytest.mark.parametrize("as_record", [embedded, of_kafka])
def test_records_ahead_of_their_time_make_no_other_late(as_record: object, ahead: list[int]) -> None:
    assert callable(as_record)
    records = [as_record(timestamp, NOW_MS) for timestamp in ahead] + [as_record(NOW_MS, NOW_MS)]
    assert outcomes(records, TIGHT, [NOW_MS] * len(records))[-1] is APPLIED


def test_state_of_an_earlier_release_that_is_ahead_makes_no_record_late() -> None:
    parsed = parse(embedded(NOW_MS, NOW_MS), TIGHT, newest_ms=NOW_MS + DAY_MS, now_ms=NOW_MS)
    assert isinstance(parsed, LoggedBehavior)


def test_a_producer_whose_clock_is_years_ahead_is_not_believed() -> None:
    ahead = NOW_MS + 9_000 * DAY_MS
    assert outcomes([of_kafka(ahead, ahead)], PARSING, [NOW_MS]) == [Reason.IMPOSSIBLE_TIME]


@pytest.mark.parametrize("appended_at", [None, -1])
def test_without_a_time_of_its_own_the_clock_judges(appended_at: int | None) -> None:
    records = [of_kafka(NOW_MS + DAY_MS + 1, appended_at)] * 2
    assert outcomes(records, PARSING, [NOW_MS, NOW_MS + 1]) == [Reason.IMPOSSIBLE_TIME, APPLIED]


@pytest.mark.parametrize("appended_at", [None, LATEST_MS])
@pytest.mark.parametrize("as_record", [embedded, of_kafka])
def test_no_time_is_so_late_that_it_is_one_in_microseconds(as_record: object, appended_at: int | None) -> None:
    assert callable(as_record)
    records = [as_record(10**14 - 1, appended_at), as_record(10**14, appended_at)]
    assert outcomes(records, REPLAYABLE, [NEVER_MS] * 2) == [APPLIED, Reason.IMPOSSIBLE_TIME]
