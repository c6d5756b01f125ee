"""The window of the last minutes counts what was added, second by second."""

from hypothesis import given
from hypothesis import strategies as st

from job.page.live_window import SECONDS, LiveWindow, percentile

NOW_S = 1_800_000_000
within = st.integers(1, SECONDS)


@given(st.lists(st.tuples(within, st.booleans(), st.none() | st.integers(0, 10_000)), max_size=200))
def test_every_second_has_what_was_added_in_it(added: list[tuple[int, bool, int | None]]) -> None:
    window = LiveWindow()
    for ago, is_list, freshness in sorted(added, key=lambda each: -each[0]):
        at_ms = (NOW_S - ago) * 1000 + 500
        window.add_list(at_ms, freshness) if is_list else window.add_behavior(at_ms)

    points = window.points(NOW_S * 1000)
    assert [point[0] for point in points] == list(range(NOW_S - SECONDS, NOW_S))
    for second, behaviors, lists, median, p95 in points:
        there = [each for each in added if NOW_S - each[0] == second]
        fresh = sorted(each[2] for each in there if each[1] and each[2] is not None)
        assert behaviors == sum(not each[1] for each in there)
        assert lists == sum(each[1] for each in there)
        assert (median, p95) == (percentile(fresh, 0.5), percentile(fresh, 0.95))
        assert median is None or median in fresh


def test_what_a_watcher_has_already_is_not_given_again() -> None:
    window = LiveWindow()
    window.add_behavior((NOW_S - 3) * 1000)
    assert [point[0] for point in window.points(NOW_S * 1000, NOW_S - 4)] == [NOW_S - 3, NOW_S - 2, NOW_S - 1]
    assert window.points(NOW_S * 1000, NOW_S - 1) == []


def test_old_seconds_are_forgotten() -> None:
    window = LiveWindow()
    for second in range(3 * SECONDS):
        window.add_behavior((NOW_S + second) * 1000)
    assert len(window._seconds) < 2 * SECONDS


@given(st.lists(st.integers(), min_size=1, max_size=50).map(sorted))
def test_a_percentile_is_one_of_the_values_and_enough_are_below_it(values: list[int]) -> None:
    for share in (0.5, 0.95):
        found = percentile(values, share)
        assert found is not None
        assert sum(each <= found for each in values) >= share * len(values)
        assert sum(each < found for each in values) < share * len(values)
