"""Waiting: at once, until it is there, and no longer than it may take."""

import time
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.waiting import counts_up_to, polls, retry, wait_until

SOON_S, LONG_S = 0.02, 30.0


class PassingError(Exception):
    pass


@given(st.lists(st.sampled_from([0, "", None, False]), max_size=20), st.integers(1))
def test_the_first_true_answer_is_returned_at_once(before: list[object], wanted: int) -> None:
    answers = iter([*before, wanted, 0])
    began = time.monotonic()
    assert wait_until(lambda: next(answers), timeout_s=LONG_S, poll_s=0) == wanted
    assert time.monotonic() - began < LONG_S / 2
    assert next(answers) == 0, "it asked once more"


@pytest.mark.parametrize("timeout_s", [-1.0, 0.0, SOON_S])
@pytest.mark.parametrize("answer", [0, "", None, False])
def test_when_the_time_is_over_the_last_answer_is_returned(timeout_s: float, answer: object) -> None:
    asked: list[float] = []

    def ask() -> object:
        asked.append(time.monotonic())
        return answer

    began = time.monotonic()
    assert wait_until(ask, timeout_s=timeout_s, poll_s=SOON_S / 4) is answer
    assert time.monotonic() - began >= timeout_s
    assert len(asked) == 1 if timeout_s <= 0 else len(asked) > 1


def test_polls_are_apart_from_each_other() -> None:
    times = [time.monotonic() for _ in polls(timeout_s=5 * SOON_S, poll_s=SOON_S)]
    assert all(later - earlier >= SOON_S for earlier, later in pairwise(times))
    assert len(times) > 1


@given(st.integers(0, 20))
def test_a_call_that_fails_in_passing_is_made_again(failures: int) -> None:
    left = iter(range(failures))

    def call() -> str:
        for _ in left:
            raise PassingError
        return "done"

    assert retry(call, PassingError, timeout_s=LONG_S, poll_s=0) == "done"


@pytest.mark.parametrize(("raised", "calls"), [(ValueError("other"), 1), (PassingError("last"), 2)])
def test_other_errors_are_raised_at_once_and_passing_ones_when_the_time_is_over(raised: Exception, calls: int) -> None:
    made = 0

    def call() -> None:
        nonlocal made
        made += 1
        raise raised

    with pytest.raises(type(raised), match=str(raised)):
        retry(call, (PassingError,), timeout_s=SOON_S, poll_s=SOON_S)
    assert made >= calls
    assert made == 1 or isinstance(raised, PassingError)


@given(st.lists(st.integers(0, 50), min_size=1, max_size=20), st.integers(0, 60))
def test_a_count_is_followed_until_it_is_as_high_as_wanted(counts: list[int], wanted: int) -> None:
    told = iter([*counts, 60])
    seen = list(counts_up_to(wanted, lambda: next(told), stalled_s=LONG_S, poll_s=0))
    assert seen == [*counts, 60][: len(seen)]
    assert seen[-1] >= wanted
    assert all(count < wanted for count in seen[:-1])


def test_a_count_that_moves_is_followed_for_longer_than_one_that_stands_still() -> None:
    def count() -> Iterator[int]:
        yield from range(10)
        while True:
            yield 9

    told = count()
    began = time.monotonic()
    seen = list(counts_up_to(11, lambda: next(told), stalled_s=2 * SOON_S, poll_s=SOON_S))
    assert sorted(set(seen)) == list(range(10))
    assert time.monotonic() - began >= 11 * SOON_S
