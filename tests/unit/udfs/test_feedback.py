"""Minutes: percentiles within their promise, and parts that add up to the whole."""

import json
import math
from dataclasses import replace

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.udfs.examples import behavior, proposals, scored
from udfs.elements import FallbackReason, ScoredBehavior
from udfs.feedback.minute import MINUTE_MS, Minute, decode_minute, due, encode_minute, forgettable, minute_of
from udfs.rows import to_lines

NOW_MS = 1_700_000_040_123
MINUTE = minute_of(NOW_MS)
WITHIN = 2 ** (1 / 16)


def made(
    appended_at: int | None = None, batch_size: int | None = None, *, fallback: FallbackReason | None = None
) -> ScoredBehavior:
    did = msgspec.structs.replace(behavior(), appended_at=appended_at)
    done = scored(None if fallback else proposals("a"), did=did)
    return msgspec.structs.replace(done, batch_size=batch_size, fallback_reason=fallback)


def counted(*done: ScoredBehavior) -> Minute:
    minute = Minute(MINUTE)
    for behaved in done:
        minute.count(behaved, NOW_MS)
    return minute


def measured(*freshness_ms: int) -> Minute:
    return counted(*(made(NOW_MS - milliseconds) for milliseconds in freshness_ms))


def test_a_minute_begins_at_its_first_millisecond() -> None:
    assert (minute_of(119_999), minute_of(120_000)) == (60_000, 120_000)


def test_a_scored_behavior_counts_its_batch() -> None:
    minute = counted(made(batch_size=3), made(batch_size=5), made(fallback=FallbackReason.SHED))
    assert (minute.events, minute.scored, minute.fallbacks) == (3, 2, 1)
    assert (minute.batch_sizes, minute.batch_size_max) == (8, 5)


def test_a_row_counts_fallbacks_by_their_reason() -> None:
    reasons = (FallbackReason.SHED, FallbackReason.CIRCUIT_OPEN, FallbackReason.SHED)
    row = json.loads(to_lines([counted(made(), *(made(fallback=reason) for reason in reasons)).row(1, NOW_MS)]))
    assert row["fallbacks"] == 3
    assert {reason.value: row[f"fallbacks_{reason}"] for reason in FallbackReason} == {
        "deadline": 0,
        "model_busy": 0,
        "circuit_open": 1,
        "model_error": 0,
        "shed": 2,
        "coalesced": 0,
    }


def test_a_behavior_of_unknown_append_time_has_no_freshness() -> None:
    assert counted(made(None)).percentile_ms(0.5) is None


def test_a_clock_that_is_behind_the_logs_counts_as_fresh() -> None:
    assert measured(-50).percentile_ms(1.0) == 0


freshness = st.lists(st.integers(0, 10_000_000), min_size=1, max_size=50)


@given(freshness, st.sampled_from([0.01, 0.5, 0.95, 0.99, 1.0]))
def test_a_percentile_is_at_most_a_step_above_the_exact_one(values: list[int], share: float) -> None:
    exact = sorted(values)[math.ceil(share * len(values)) - 1]
    percentile = measured(*values).percentile_ms(share)
    assert percentile is not None
    assert exact - 1e-6 <= percentile <= exact * WITHIN + 1e-6


reasons = st.none() | st.sampled_from(FallbackReason)
parts = st.lists(
    st.builds(made, st.none() | st.integers(NOW_MS - 10_000, NOW_MS), st.none() | st.integers(1, 64), fallback=reasons),
    max_size=10,
)


@given(parts, parts)
def test_adding_parts_equals_counting_together(one: list[ScoredBehavior], two: list[ScoredBehavior]) -> None:
    added = counted(*one)
    added.add(counted(*two))
    assert replace(added, changed=False) == counted(*one, *two)


def test_a_part_brings_its_duplicates_and_the_highest_epoch() -> None:
    minute = Minute(MINUTE, duplicates=1, epoch=7)
    minute.add(Minute(MINUTE, duplicates=2, epoch=5))
    assert (minute.duplicates, minute.epoch, minute.changed) == (3, 7, True)


@given(parts, st.integers(0, 9), st.booleans())
def test_stored_minutes_come_back(done: list[ScoredBehavior], revision: int, changed: bool) -> None:
    minute = replace(counted(*done), revision=revision, changed=changed, epoch=3)
    assert decode_minute(encode_minute(minute)) == minute


def test_a_row_says_how_the_minute_went() -> None:
    row = json.loads(to_lines([counted(made(NOW_MS - 100, 4), made(NOW_MS - 100, 2)).row(1, NOW_MS)]))
    assert row["minute"] == MINUTE
    assert (row["events"], row["lists"], row["scored"], row["fallbacks"]) == (2, 2, 2, 0)
    assert (row["batch_size_mean"], row["batch_size_max"]) == (3.0, 4)
    assert (row["freshness_count"], row["freshness_max_ms"], row["freshness_p99_ms"]) == (2, 100.0, 100.0)


def test_a_row_of_nothing_measured_has_nulls() -> None:
    row = Minute(MINUTE).row(1, NOW_MS)
    assert (row.batch_size_mean, row.batch_size_max, row.freshness_p50_ms, row.freshness_max_ms) == (None,) * 4


def minutes(*changed: int) -> dict[int, Minute]:
    return {number: Minute(number * MINUTE_MS, changed=True) for number in changed}


@given(st.integers(1, 10**6))
def test_a_minute_that_was_open_at_a_stop_is_written_however_long_that_was(stopped_minutes: int) -> None:
    kept = minutes(7)
    assert due(kept.values(), (7 + stopped_minutes) * MINUTE_MS) == [kept[7]]
    assert forgettable(kept.values()) == []


def test_a_minute_that_is_not_over_waits() -> None:
    assert due(minutes(7, 8).values(), 8 * MINUTE_MS) == [Minute(7 * MINUTE_MS, changed=True)]


@given(st.sets(st.integers(0, 10**6), max_size=90), st.data())
def test_only_written_minutes_with_many_newer_ones_are_forgotten(kept: set[int], data: st.DataObject) -> None:
    all_of_them = minutes(*kept)
    for written in data.draw(st.sets(st.sampled_from(sorted(kept)))) if kept else ():
        all_of_them[written].changed = False
    gone = forgettable(all_of_them.values())
    assert not any(minute.changed for minute in gone)
    assert all(sum(other > minute.minute // MINUTE_MS for other in kept) >= 60 for minute in gone)
    assert len(kept) - len(gone) <= 60 + sum(minute.changed for minute in all_of_them.values())
