"""Shedding: what is too old or overtaken is never scored, everything else is, and all of it stays in order."""

import asyncio
from collections.abc import Sequence

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.udfs.examples import NOW_MS, behavior, proposals
from udfs.elements import Candidates, FallbackReason, TrackedBehavior
from udfs.model_serving.model_calls import Answered
from udfs.model_serving.shedding import overtaken, submit_unshed, too_old

BOUND_MS = 500
SOME_REASONS = st.none() | st.sampled_from([FallbackReason.SHED, FallbackReason.COALESCED])


def appended(number: int, age_ms: int | None = None, user: str = "u") -> TrackedBehavior:
    did = msgspec.structs.replace(behavior(user=user), appended_at=None if age_ms is None else NOW_MS - age_ms)
    return TrackedBehavior(did, number, b"", b"", b"", b"", b"", [])


async def submit(behaviors: Sequence[TrackedBehavior]) -> list[Answered[Candidates]]:
    return [Answered(proposals(str(each.user_seq)), None, len(behaviors)) for each in behaviors]


@given(st.lists(SOME_REASONS))
def test_who_has_a_reason_is_not_asked_about_and_all_stay_in_order(reasons: list[FallbackReason | None]) -> None:
    behaviors = [appended(number) for number in range(len(reasons))]
    answers = asyncio.run(submit_unshed(behaviors, reasons, submit))
    assert [answered.failure for answered in answers] == reasons
    assert [answered.answer for answered in answers] == [
        proposals(str(number)) if reason is None else None for number, reason in enumerate(reasons)
    ]


@given(st.lists(st.none() | st.integers(-5, 1_000)))
def test_too_old_is_what_is_older_than_the_bound_and_says_when_it_came(ages_ms: list[int | None]) -> None:
    behaviors = [appended(number, age_ms) for number, age_ms in enumerate(ages_ms)]
    expected = [age_ms is not None and age_ms > BOUND_MS for age_ms in ages_ms]
    assert too_old(behaviors, NOW_MS - BOUND_MS) == expected


@given(st.lists(st.sampled_from("abc")))
def test_of_each_user_all_but_the_newest_are_overtaken(users: list[str]) -> None:
    behaviors = [appended(users[:number].count(user) + 1, user=user) for number, user in enumerate(users)]
    left = [user for user, is_overtaken in zip(users, overtaken(behaviors), strict=True) if not is_overtaken]
    assert sorted(left) == sorted(set(users))
    assert [user not in users[number + 1 :] for number, user in enumerate(users)] == [
        not each for each in overtaken(behaviors)
    ]
