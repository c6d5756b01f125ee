"""ModelCalls on a real event loop with real threads: deadlines, the circuit, hung calls, and no late answer."""

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.udfs.model_bench import DEADLINE_MS, Bench, failures, on_a_loop, scored, settled
from udfs.elements import FallbackReason
from udfs.model_serving.model_calls import Answered
from udfs.model_serving.model_thread import finished_within

COOL_DOWN_MS = 1_000.0
HUNG_MS = 30_000.0


def test_a_call_over_the_deadline_ends_without_scores() -> None:
    async def script(bench: Bench) -> None:
        with bench.held():
            asked = bench.ask(1, 2)
            await settled()
            await bench.pass_time(DEADLINE_MS - 1)
            assert not asked.done()
            await bench.pass_time(1)
            assert await asked == [Answered(None, FallbackReason.DEADLINE, 2)] * 2

    on_a_loop(script)


def test_until_the_late_call_is_back_the_model_is_busy_then_it_scores_again() -> None:
    async def script(bench: Bench) -> None:
        with bench.held():
            assert await bench.late(1) == {FallbackReason.DEADLINE}
            assert failures(await bench.ask(2)) == {FallbackReason.MODEL_BUSY}
            assert failures(await bench.ask(3)) == {FallbackReason.MODEL_BUSY}
        assert scored(await bench.once_free(4)) == [40]
        assert bench.model.batches == [[1], [4]]

    on_a_loop(script)


def test_an_error_of_the_model_ends_its_batch_without_scores_and_is_reported() -> None:
    async def script(bench: Bench) -> None:
        bench.model.error = ValueError("broken")
        assert await bench.ask(1, 2) == [Answered(None, FallbackReason.MODEL_ERROR, 2)] * 2
        assert bench.failures == [bench.model.error]

    on_a_loop(script)


def test_after_an_error_the_model_scores_again() -> None:
    async def script(bench: Bench) -> None:
        bench.model.error = ValueError("broken")
        await bench.ask(1)
        bench.model.error = None
        assert scored(await bench.ask(2)) == [20]

    on_a_loop(script)


NO_MEMORY = (
    MemoryError(),
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 16777216 bytes. Error code 12"),
    RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
)


@pytest.mark.parametrize("error", NO_MEMORY)
def test_a_model_that_had_memory_and_finds_none_three_times_in_a_row_has_its_process_ended(error: Exception) -> None:
    async def script(bench: Bench) -> None:
        for row in (2, 3):
            bench.model.error = None
            await bench.ask(1)
            bench.model.error = error
            for _ in range(row):
                assert bench.lacks == []
                assert failures(await bench.ask(2)) == {FallbackReason.MODEL_ERROR}
        assert len(bench.lacks) == 1

    on_a_loop(script)


@pytest.mark.parametrize(("answers", "error"), [(0, MemoryError()), (1, RuntimeError("the shapes do not fit"))])
def test_another_process_would_not_help_a_model_that_never_had_memory_or_fails_otherwise(
    answers: int, error: Exception
) -> None:
    async def script(bench: Bench) -> None:
        for _ in range(answers):
            await bench.ask(1)
        bench.model.error = error
        for _ in range(5):
            assert failures(await bench.ask(2)) == {FallbackReason.MODEL_ERROR}
        assert bench.lacks == []

    on_a_loop(script)


def test_an_error_of_a_late_call_is_reported_too() -> None:
    async def script(bench: Bench) -> None:
        bench.model.error = ValueError("broken")
        with bench.held():
            await bench.late(1)
        while not bench.failures:
            await settled()
        assert bench.failures == [bench.model.error]

    on_a_loop(script)


def test_three_timeouts_in_a_row_open_the_circuit() -> None:
    async def script(bench: Bench) -> None:
        for question in (1, 2, 3):
            await comes_back_late(bench, question)
        assert failures(await bench.ask(4)) == {FallbackReason.CIRCUIT_OPEN}
        assert bench.model.batches == [[1], [2], [3]]

    on_a_loop(script)


def test_an_answer_in_time_breaks_the_row() -> None:
    async def script(bench: Bench) -> None:
        for question in (1, 2, 3, 4):
            await comes_back_late(bench, question)
            assert scored(await bench.ask(10 * question)) == [100 * question]

    on_a_loop(script)


def test_a_call_that_is_out_for_three_deadlines_opens_the_circuit() -> None:
    async def script(bench: Bench) -> None:
        with bench.held():
            await bench.late(1)
            await bench.pass_time(2 * DEADLINE_MS - 1)
            assert failures(await bench.ask(2)) == {FallbackReason.MODEL_BUSY}
            await bench.pass_time(2)
            assert failures(await bench.ask(3)) == {FallbackReason.CIRCUIT_OPEN}

    on_a_loop(script)


def test_after_the_cool_down_a_probe_on_a_fresh_thread_closes_the_circuit() -> None:
    async def script(bench: Bench) -> None:
        with bench.held():
            await bench.open_circuit()
            await bench.pass_time(COOL_DOWN_MS - 1)
            assert failures(await bench.ask(3)) == {FallbackReason.CIRCUIT_OPEN}
            with bench.recovered():
                await bench.pass_time(2)
                assert scored(await bench.ask(4)) == [40]
                assert scored(await bench.ask(5)) == [50]

    on_a_loop(script)


def test_a_late_probe_doubles_the_cool_down_up_to_five_seconds() -> None:
    async def script(bench: Bench) -> None:
        with bench.held():
            await bench.open_circuit()
            for probe, cool_down_ms in enumerate((1_000, 2_000, 4_000, 5_000, 5_000)):
                await bench.pass_time(cool_down_ms - 1)
                assert failures(await bench.ask(99)) == {FallbackReason.CIRCUIT_OPEN}
                await bench.pass_time(2)
                assert await bench.late(probe) == {FallbackReason.DEADLINE}

    on_a_loop(script)


def test_the_circuit_closes_on_the_thread_it_had_where_that_came_back() -> None:
    async def script(bench: Bench) -> None:
        for question in (1, 2, 3):
            await comes_back_late(bench, question)
        before = model_threads()
        await bench.pass_time(COOL_DOWN_MS)
        assert scored(await bench.ask(4)) == [40]
        assert model_threads() <= before

    on_a_loop(script)


def test_an_error_of_the_probe_closes_the_circuit_too() -> None:
    async def script(bench: Bench) -> None:
        with bench.held():
            await bench.open_circuit()
        bench.model.error = ValueError("broken")
        await bench.pass_time(COOL_DOWN_MS)
        assert failures(await bench.ask(1)) == {FallbackReason.MODEL_ERROR}
        bench.model.error = None
        assert scored(await bench.ask(2)) == [20]

    on_a_loop(script)


def test_a_call_out_for_thirty_seconds_is_told_of_once() -> None:
    async def script(bench: Bench) -> None:
        with bench.held():
            asked = bench.ask(1)
            await settled()
            await bench.pass_time(HUNG_MS - 1)
            assert bench.hangs == []
            await bench.pass_time(1)
            await bench.pass_time(HUNG_MS)
            assert bench.hangs == [HUNG_MS / 1000]
        await asked

    on_a_loop(script)


def test_without_a_deadline_a_hung_call_is_told_of_too() -> None:
    async def script(bench: Bench) -> None:
        with bench.held():
            asked = bench.ask(1)
            await settled()
            await bench.pass_time(HUNG_MS)
            assert bench.hangs == [HUNG_MS / 1000]
        assert scored(await asked) == [10]

    on_a_loop(script, deadline_ms=None)


def test_a_call_that_came_back_late_is_no_hang() -> None:
    async def script(bench: Bench) -> None:
        with bench.held():
            await bench.late(1)
        assert scored(await bench.once_free(2)) == [20]
        await bench.pass_time(2 * HUNG_MS)
        assert bench.hangs == []

    on_a_loop(script)


def test_until_a_hung_call_ends_the_worker_there_are_at_most_eight() -> None:
    async def script(bench: Bench) -> None:
        before = model_threads()
        with bench.held():
            while not bench.hangs:
                bench.ask(1)
                await bench.pass_time(10)
            assert 5 <= len(model_threads() - before) + 1 <= 8

    on_a_loop(script)


def test_work_that_is_done_in_time_is_done_and_raises_what_it_raises() -> None:
    done: list[int] = []
    assert finished_within(60, lambda: done.append(1))
    assert done == [1]

    broken = ValueError("broken")

    def fail() -> None:
        raise broken

    with pytest.raises(ValueError, match="broken"):
        finished_within(60, fail)


def test_work_that_hangs_is_not_waited_for() -> None:
    may_go = threading.Event()

    def hang() -> None:
        may_go.wait(60)

    assert not finished_within(0.01, hang)
    may_go.set()


steps = st.lists(
    st.one_of(
        st.integers(1, 7).map(lambda size: ("ask", size)),
        st.sampled_from([1, 50, 200, 1_000, 5_000]).map(lambda milliseconds: ("pass", milliseconds)),
        st.sampled_from([("hang", 0), ("recover", 0), ("fail", 0)]),
    ),
    max_size=30,
)


@settings(max_examples=40, deadline=None)
@given(steps, st.integers(1, 5))
def test_whatever_hangs_each_question_has_its_answer_or_a_reason_and_the_model_comes_back(
    taken: list[tuple[str, int]], max_size: int
) -> None:
    async def script(bench: Bench) -> None:
        asked, number = [], 0
        for step, value in taken:
            if step == "ask":
                asked.append((number, value, bench.ask(*range(number, number + value))))
                number += value
            if step == "pass":
                await bench.pass_time(value)
            if step in {"hang", "recover"}:
                (bench.model.may_go.clear if step == "hang" else bench.model.may_go.set)()
            bench.model.error = ValueError("broken") if step == "fail" else None
            await settled()
        bench.model.may_go.set()
        bench.model.error = None
        while not all(its.done() for *_, its in asked):
            await bench.pass_time(1)
        for first, size, its in asked:
            answers = its.result()
            assert len(answers) == size
            assert all(
                answered.answer == (None if answered.failure else 10 * question)
                for question, answered in enumerate(answers, first)
            )
        asked_of_model = [question for batch in bench.model.batches for question in batch]
        assert len(set(asked_of_model)) == len(asked_of_model)
        assert all(1 <= len(batch) <= max_size for batch in bench.model.batches)
        # The first may still find the thread taken, and open the circuit: the clock ran faster than the threads.
        tries = []
        for _ in range(2):
            await bench.pass_time(5_000)
            tries += scored(await bench.once_free(number))
        assert tries[-1] == 10 * number

    on_a_loop(script, max_size=max_size)


async def comes_back_late(bench: Bench, question: int) -> None:
    """A call misses its deadline; that it came back is known by its error."""
    before = len(bench.failures)
    bench.model.error = ValueError("late")
    with bench.held():
        assert await bench.late(question) == {FallbackReason.DEADLINE}
    while len(bench.failures) == before:
        await settled()
    bench.model.error = None


def model_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "model"}
