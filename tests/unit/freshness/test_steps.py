"""The steps of a log: nothing is lost, and no list can know of trends that are newer than what it is judged by."""

from itertools import chain, pairwise

from hypothesis import given
from hypothesis import strategies as st

from job.freshness.steps import steps_of
from model.records import UserBehavior

ROWS = st.lists(st.tuples(st.sampled_from("uvw"), st.integers(59_995, 60_010)), max_size=30)


def behaviors(rows: list[tuple[str, int]]) -> list[UserBehavior]:
    return [UserBehavior(user, "click", "i", at) for user, at in sorted(rows, key=lambda row: row[1])]


def test_a_step_ends_before_a_user_acts_again_and_at_a_minute() -> None:
    rows = [("u", 1), ("v", 2), ("v", 2), ("u", 3), ("w", 59_999), ("v", 60_000)]
    times = [[each.timestamp for each in step] for step in steps_of(behaviors(rows))]
    assert times == [[1, 2, 2], [3, 59_999], [60_000]]


@given(ROWS)
def test_steps_hold_all_behaviours_in_order_and_each_user_at_one_time(rows: list[tuple[str, int]]) -> None:
    log = behaviors(rows)
    steps = list(steps_of(log))
    assert list(chain.from_iterable(steps)) == log
    for before, after in pairwise(steps):
        assert before[-1].timestamp < after[0].timestamp
    for step in steps:
        assert len({each.timestamp // 60_000 for each in step}) == 1
        for user in "uvw":
            assert len({each.timestamp for each in step if each.user_id == user}) <= 1
