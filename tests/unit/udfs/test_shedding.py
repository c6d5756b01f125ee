"""Shedding: what is too old is never scored, everything else is, and all of it stays in order."""

import asyncio
from collections.abc import Sequence

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.udfs.examples import NOW_MS, behavior, proposals
from udfs.elements import Candidates, TrackedBehavior
from udfs.model_calls import Answered, FallbackReason
from udfs.shedding import shed

BOUND_MS = 500


def appended(number: int, age_ms: int | None) -> TrackedBehavior:
    did = msgspec.structs.replace(behavior(), appended_at=None if age_ms is None else NOW_MS - age_ms)
    return TrackedBehavior(did, number, b"", b"", b"", b"", b"", [])


async def submit(behaviors: Sequence[TrackedBehavior]) -> list[Answered[Candidates]]:
    return [Answered(proposals(str(each.user_seq)), None, len(behaviors)) for each in behaviors]


@given(st.lists(st.none() | st.integers(-5, 1_000)))
def test_only_what_is_older_than_the_bound_is_shed(ages_ms: list[int | None]) -> None:
    behaviors = [appended(number, age_ms) for number, age_ms in enumerate(ages_ms)]
    answers = asyncio.run(shed(behaviors, NOW_MS - BOUND_MS, submit))
    too_old = [age_ms is not None and age_ms > BOUND_MS for age_ms in ages_ms]
    assert [answered.failure for answered in answers] == [FallbackReason.SHED if old else None for old in too_old]
    assert [answered.answer for answered in answers] == [
        None if old else proposals(str(number)) for number, old in enumerate(too_old)
    ]
