"""Times: a number names its unit, an offset is kept, and what cannot be told is refused."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.event_time import (
    ISO,
    ISO_WITHOUT_ZONE,
    MONTH_FIRST,
    UNITS,
    EventTimeError,
    EventTimes,
    Unit,
    unit_of,
    wrong_unit,
)

plausible_ms = st.integers(10**11, 10**13 - 1)
units = st.sampled_from(Unit)
zones = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
moments = st.datetimes(datetime(1973, 4, 1), datetime(2280, 1, 1), timezones=zones)


@given(plausible_ms, units)
def test_a_number_of_any_unit_is_its_time(time_ms: int, unit: Unit) -> None:
    number = time_ms * unit.value // 1000
    assert unit_of(number) is unit
    assert EventTimes().to_ms(number) == number * 1000 // unit.value
    assert EventTimes().to_ms(str(number)) == number * 1000 // unit.value


@given(plausible_ms, units)
def test_only_milliseconds_are_the_right_unit_of_a_log(time_ms: int, unit: Unit) -> None:
    assert wrong_unit(time_ms * unit.value // 1000) is (None if unit is Unit.MILLISECONDS else unit)


@given(st.integers(0, 10**8 - 1) | st.integers(-(2**80), -1) | st.integers(10**19, 2**80))
def test_what_is_plausible_in_no_unit_is_not_guessed(number: int) -> None:
    assert unit_of(number) is None
    with pytest.raises(EventTimeError):
        EventTimes().to_ms(number)


@given(st.integers(0, 2**45), units)
def test_a_given_unit_holds_for_all_numbers(number: int, unit: Unit) -> None:
    times = EventTimes(given=unit)
    expected = number * 1000 // unit.value
    if expected <= 253_402_300_799_999:
        assert times.to_ms(number) == expected
        assert times.doubtful.total() == (unit_of(number) not in {None, unit})


@given(moments, st.sampled_from(["T", " "]))
def test_the_offset_of_iso_8601_is_kept(moment: datetime, separator: str) -> None:
    times = EventTimes()
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    assert times.to_ms(moment.isoformat(separator)) == since // timedelta(milliseconds=1)
    assert times.seen == {ISO: 1}


@pytest.mark.parametrize(
    "text",
    [
        "2023-11-14T22:13:20Z",
        "2023-11-14 22:13:20 UTC",
        "2023-11-14T22:13:20",
        "2023-11-14T22:13:20.000000000Z",
        "2023-11-15T03:43:20+05:30",
        "2023-11-15 03:43:20+0530",
        " 1700000000 ",
        "1700000000.0",
        "1.7e12",
        "1700000000000000000",
    ],
)
def test_one_moment_in_its_forms(text: str) -> None:
    assert EventTimes().to_ms(text) == 1_700_000_000_000


@pytest.mark.parametrize("text", ["+275760-09-13T00:00:00.000Z", "10000-01-01 00:00:00+00", "infinity"])
def test_a_year_after_9999_is_refused_as_such(text: str) -> None:
    with pytest.raises(EventTimeError, match="timestamp after the year 9999"):
        EventTimes().to_ms(text)


@pytest.mark.parametrize("text", ["-000001-12-31T00:00:00.000Z", "-43-01-01T00:00:00", "0044-03-15", "-infinity"])
def test_a_year_before_1970_is_refused_as_such(text: str) -> None:
    with pytest.raises(EventTimeError, match="timestamp before 1970"):
        EventTimes().to_ms(text)


@pytest.mark.parametrize("text", ["12345-678", "+002023-1-1", "to infinity", ""])
def test_text_that_only_resembles_a_far_year_is_no_time(text: str) -> None:
    with pytest.raises(EventTimeError, match="neither"):
        EventTimes().to_ms(text)


def test_times_without_an_offset_are_counted_as_utc() -> None:
    times = EventTimes()
    assert times.to_ms("12/1/2010 8:26") == times.to_ms("2010-12-01T08:26")
    assert times.seen == {MONTH_FIRST: 1, ISO_WITHOUT_ZONE: 1}


@pytest.mark.parametrize("wrong", ["", "soon", "nan", "inf", "1_700_000_000", "١٧٠٠٠٠٠٠٠٠", "9" * 5000, "1969-12-31"])
def test_what_is_no_time_is_refused(wrong: str) -> None:
    with pytest.raises(EventTimeError):
        EventTimes(documented=Unit.SECONDS).to_ms(wrong)


@given(st.text() | st.floats() | st.integers(), st.none() | units, st.none() | units)
def test_whatever_the_value_is_it_is_a_time_or_refused(
    value: str | float, documented: Unit | None, chosen: Unit | None
) -> None:
    times = EventTimes(documented=documented, given=chosen)
    try:
        assert 0 <= times.to_ms(value) <= 253_402_300_799_999
    except EventTimeError:
        assert not times.seen


@pytest.mark.parametrize("unit", [None, *Unit])
@pytest.mark.parametrize("number", [1e306, -1e308, 1.7976931348623157e308])
def test_a_number_near_the_largest_is_refused_in_every_unit(number: float, unit: Unit | None) -> None:
    with pytest.raises(EventTimeError):
        EventTimes(documented=Unit.MILLISECONDS, given=unit).to_ms(number)


def test_the_names_of_units_are_those_of_the_command_line() -> None:
    assert [UNITS[name].value for name in ("s", "ms", "us", "ns")] == [1, 10**3, 10**6, 10**9]
