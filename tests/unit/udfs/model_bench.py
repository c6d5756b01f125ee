"""A model on a real thread behind MicroBatcher and ModelCalls, on an event loop whose clock a test moves."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

from udfs.elements import FallbackReason
from udfs.model_serving.batching import BatchRules, MicroBatcher
from udfs.model_serving.model_calls import Answered, CallRules, ModelCalls

LINGER_MS = 10.0
DEADLINE_MS = 200.0


class Loop(asyncio.SelectorEventLoop):
    """An event loop whose clock stands still until a test moves it."""

    now_s = 0.0

    def time(self) -> float:
        return self.now_s


class Model:
    """Answers ten times the question; can be held up, and told to fail."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.may_go = threading.Event()
        self.may_go.set()
        self.error: Exception | None = None
        self.short_of = 0

    def __call__(self, questions: Sequence[int]) -> list[int]:
        self.batches.append(list(questions))
        assert self.may_go.wait(60)
        if self.error is not None:
            raise self.error
        return [question * 10 for question in questions][self.short_of :]


class Bench:
    """A model, its batcher, and what was said of failures and hangs."""

    def __init__(self, loop: Loop, batches: BatchRules, rules: CallRules) -> None:
        self.loop = loop
        self.model = Model()
        self.failures: list[BaseException] = []
        self.hangs: list[float] = []
        self.lacks: list[float] = []
        self.calls = ModelCalls(
            self.model,
            rules,
            self.failures.append,
            on_hang=lambda: self.hangs.append(loop.now_s),
            on_lack=lambda: self.lacks.append(loop.now_s),
        )
        self.batcher = MicroBatcher(self.calls, batches)

    def ask(self, *questions: int) -> "asyncio.Task[list[Answered[int]]]":
        return self.loop.create_task(self.batcher.submit(questions))

    async def pass_time(self, milliseconds: float) -> None:
        self.loop.now_s += milliseconds / 1000
        await settled()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Meanwhile the model answers nothing."""
        self.model.may_go.clear()
        try:
            yield
        finally:
            self.model.may_go.set()

    @contextmanager
    def recovered(self) -> Iterator[None]:
        """Meanwhile it answers what it is asked from now on; what hangs goes on hanging."""
        hung, self.model.may_go = self.model.may_go, threading.Event()
        self.model.may_go.set()
        try:
            yield
        finally:
            hung.set()

    async def behind_a_call(self, question: int) -> "asyncio.Task[list[Answered[int]]]":
        """Asks while the model is at question 1, and waits until that is answered."""
        with self.held():
            first = self.ask(1)
            await settled()
            behind = self.ask(question)
            await settled()
        await first
        await settled()
        return behind

    async def late(self, question: int) -> set[FallbackReason | None]:
        """Asks, and lets the deadline pass once the model has the question."""
        asked = self.ask(question)
        while [question] not in self.model.batches and not asked.done():
            await settled()
        await self.pass_time(DEADLINE_MS)
        return failures(await asked)

    async def once_free(self, question: int) -> list[Answered[int]]:
        """Asks again and again until the late call is back."""
        while failures(answers := await self.ask(question)) == {FallbackReason.MODEL_BUSY}:
            await settled()
        return answers

    async def open_circuit(self) -> None:
        """The model is asked, and stays away for three deadlines."""
        assert await self.late(-1) == {FallbackReason.DEADLINE}
        await self.pass_time(2 * DEADLINE_MS)
        assert failures(await self.ask(-2)) == {FallbackReason.CIRCUIT_OPEN}


async def settled() -> None:
    """All that can run without the model or the clock has run."""
    for _ in range(10):
        await asyncio.sleep(0)


def on_a_loop(
    script: Callable[[Bench], Coroutine[Any, Any, None]],
    *,
    max_size: int = 4,
    linger_ms: float = LINGER_MS,
    deadline_ms: float | None = DEADLINE_MS,
) -> None:
    loop = Loop()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        bench = Bench(loop, BatchRules(max_size=max_size, linger_ms=linger_ms), CallRules(deadline_ms=deadline_ms))
        with closing(bench.calls):
            runner.run(script(bench))


def scored(answers: Sequence[Answered[int]]) -> list[int | None]:
    return [answered.answer for answered in answers]


def failures(answers: Sequence[Answered[int]]) -> set[FallbackReason | None]:
    return {answered.failure for answered in answers}
