"""MicroBatcher on a real event loop with a real thread: nothing lost, doubled or swapped, whatever the model does."""

import asyncio
from contextlib import nullcontext

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.udfs.model_bench import LINGER_MS, Bench, on_a_loop, scored, settled
from udfs.elements import FallbackReason
from udfs.model_serving.model_calls import Answered


def test_a_question_that_finds_the_model_idle_never_waits() -> None:
    async def script(bench: Bench) -> None:
        assert await bench.ask(1) == [Answered(10, None, 1)]
        assert await bench.ask(2) == [Answered(20, None, 1)]

    on_a_loop(script)


def test_no_questions_have_no_answers_and_no_call() -> None:
    async def script(bench: Bench) -> None:
        assert await bench.ask() == []
        assert bench.model.batches == []

    on_a_loop(script)


def test_what_comes_during_a_call_waits_for_a_full_batch() -> None:
    async def script(bench: Bench) -> None:
        second = await bench.behind_a_call(2)
        await bench.pass_time(LINGER_MS - 1)
        assert bench.model.batches == [[1]]
        third = bench.ask(3, 4, 5)
        assert scored(await second + await third) == [20, 30, 40, 50]
        assert bench.model.batches == [[1], [2, 3, 4, 5]]

    on_a_loop(script)


def test_what_comes_during_a_call_waits_no_longer_than_the_linger() -> None:
    async def script(bench: Bench) -> None:
        second = await bench.behind_a_call(2)
        await bench.pass_time(LINGER_MS)
        assert await second == [Answered(20, None, 1)]

    on_a_loop(script)


def test_what_waited_longer_than_the_linger_during_a_call_is_sent_at_once() -> None:
    async def script(bench: Bench) -> None:
        with bench.held():
            first = bench.ask(1)
            await settled()
            second = bench.ask(2)
            await settled()
            await bench.pass_time(LINGER_MS)
        assert scored(await first + await second) == [10, 20]

    on_a_loop(script)


def test_a_large_submission_is_spread_over_full_batches() -> None:
    async def script(bench: Bench) -> None:
        answers = await bench.ask(*range(9))
        assert scored(answers) == list(range(0, 90, 10))
        assert [answered.batch_size for answered in answers] == [4] * 8 + [1]

    on_a_loop(script, linger_ms=0)


def test_a_wrong_number_of_answers_fails_everybody_who_waits() -> None:
    async def script(bench: Bench) -> None:
        bench.model.short_of = 1
        with bench.held():
            waiting = [bench.ask(1)]
            await settled()
            waiting += [bench.ask(2), bench.ask(3)]
            await settled()
        for asked in waiting:
            with pytest.raises(RuntimeError, match="the model gave 0 answers to 1 questions"):
                await asked

    on_a_loop(script)


def test_after_a_wrong_number_of_answers_the_next_question_is_scored() -> None:
    async def script(bench: Bench) -> None:
        bench.model.short_of = 1
        with pytest.raises(RuntimeError):
            await bench.ask(1, 2)
        bench.model.short_of = 0
        assert scored(await bench.ask(3)) == [30]

    on_a_loop(script)


def test_after_the_end_who_asks_fails() -> None:
    async def script(bench: Bench) -> None:
        bench.calls.close()
        with pytest.raises(RuntimeError, match="closed"):
            await bench.ask(1)

    on_a_loop(script)


def test_a_caller_that_goes_away_takes_nobody_along() -> None:
    async def script(bench: Bench) -> None:
        with bench.held():
            first = bench.ask(1)
            await settled()
            gone, third = bench.ask(2), bench.ask(3)
            await settled()
            gone.cancel()
        assert scored(await first + await third) == [10, 30]

    on_a_loop(script, linger_ms=0)


def test_a_batch_holds_at_least_one_question() -> None:
    with pytest.raises(ValueError, match="max_size is at least 1, not 0"):
        on_a_loop(lambda bench: settled(), max_size=0)


sizes = st.lists(st.integers(0, 7), max_size=12)


@settings(max_examples=30)
@given(sizes, st.integers(1, 5), st.sampled_from([0.0, LINGER_MS]), st.sets(st.integers(0, 11)))
def test_nothing_is_lost_doubled_or_swapped_and_no_batch_is_too_large(
    submitted: list[int], max_size: int, linger_ms: float, held: set[int]
) -> None:
    """Submissions in `held` are made while the model is held up."""
    starts = [sum(submitted[:number]) for number in range(len(submitted))]
    questions = [list(range(start, start + size)) for start, size in zip(starts, submitted, strict=True)]

    async def script(bench: Bench) -> None:
        asked = []
        for number, its_questions in enumerate(questions):
            with bench.held() if number in held else nullcontext():
                asked.append(bench.ask(*its_questions))
                await settled()
        while not all(its.done() for its in asked):
            await bench.pass_time(1)
        answers = [its.result() for its in asked]
        assert [scored(its) for its in answers] == [[10 * question for question in its] for its in questions]
        assert [question for batch in bench.model.batches for question in batch] == list(range(sum(submitted)))
        assert all(1 <= len(batch) <= max_size for batch in bench.model.batches)

    # No deadline: the clock runs on while the model's thread may not have had its turn.
    on_a_loop(script, max_size=max_size, linger_ms=linger_ms, deadline_ms=None)


@settings(max_examples=20)
@given(sizes, st.integers(1, 5), st.sets(st.integers(0, 11)))
def test_under_failures_every_question_still_has_one_answer_or_one_reason(
    submitted: list[int], max_size: int, failing: set[int]
) -> None:
    async def script(bench: Bench) -> None:
        asked = []
        for number, size in enumerate(submitted):
            bench.model.error = ValueError("broken") if number in failing else None
            asked.append(bench.ask(*range(size)))
            await settled()
        for size, answers in zip(submitted, await asyncio.gather(*asked), strict=True):
            reasons = {FallbackReason.MODEL_ERROR}
            assert len(answers) == size
            assert all(
                answered.answer == 10 * question if answered.failure is None else {answered.failure} == reasons
                for question, answered in enumerate(answers)
            )

    on_a_loop(script, max_size=max_size, linger_ms=0)
