"""ModelCalls: calls the model on a thread of its own, with a deadline, and never fails for the model's sake.

Pure asyncio: no Flink, no torch. Every question has one answer, or one reason why there is none.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from enum import StrEnum
from queue import SimpleQueue
from threading import Thread
from typing import Generic, NamedTuple, TypeVar

Question = TypeVar("Question")
Answer = TypeVar("Answer")


class FallbackReason(StrEnum):
    """Why a behaviour has no scores."""

    DEADLINE = "deadline"
    """The model's call took longer than `deadline_ms`."""
    MODEL_BUSY = "model_busy"
    """The call that missed its deadline still has the model's thread."""
    MODEL_ERROR = "model_error"
    """The model's call raised."""


class Answered(NamedTuple, Generic[Answer]):
    """What became of one question; `answer` is None where there is a `failure`."""

    answer: Answer | None
    failure: FallbackReason | None
    batch_size: int


@dataclass(frozen=True, slots=True)
class CallRules:
    """How the model is called.

    Attributes:
        deadline_ms: how long a call may take; None sets no bound.
    """

    deadline_ms: float | None = 200.0


class ModelCalls(Generic[Question, Answer]):
    """Calls `score`, one call at a time. Lives on one event loop; `on_failure` hears of the model's own exceptions."""

    def __init__(
        self,
        score: Callable[[Sequence[Question]], Sequence[Answer]],
        rules: CallRules,
        on_failure: Callable[[BaseException], None],
    ) -> None:
        self._rules = rules
        self._on_failure = on_failure
        self._thread = _ModelThread(score)
        self._overdue: asyncio.Future[Sequence[Answer]] | None = None

    async def __call__(self, questions: list[Question]) -> list[Answered[Answer]]:
        """One call of the model: its answers in the questions' order, or the same failure for all of them.

        Raises:
            RuntimeError: the number of answers is another than that of the questions, or this is closed.
        """
        size = len(questions)
        if self._overdue is not None and not self._overdue.done():
            return [Answered(None, FallbackReason.MODEL_BUSY, size)] * size
        call = asyncio.wrap_future(self._thread.submit(questions))
        deadline_ms = self._rules.deadline_ms
        await asyncio.wait({call}, timeout=None if deadline_ms is None else deadline_ms / 1000)
        if not call.done():
            self._overdue = call
            call.add_done_callback(self._hear_of_failure)
            return [Answered(None, FallbackReason.DEADLINE, size)] * size
        if self._hear_of_failure(call):
            return [Answered(None, FallbackReason.MODEL_ERROR, size)] * size
        answers = call.result()
        if len(answers) != size:
            msg = f"the model gave {len(answers)} answers to {size} questions"
            raise RuntimeError(msg)
        return [Answered(answer, None, size) for answer in answers]

    def close(self) -> None:
        """Lets the thread go, once its call is over."""
        self._thread.close()

    def _hear_of_failure(self, call: "asyncio.Future[Sequence[Answer]]") -> bool:
        if call.cancelled() or (error := call.exception()) is None:
            return False
        self._on_failure(error)
        return True


class _ModelThread(Generic[Question, Answer]):
    """A daemon thread that makes one call after another. An executor's would be waited for when the process ends."""

    def __init__(self, score: Callable[[Sequence[Question]], Sequence[Answer]]) -> None:
        self._score = score
        self._calls: SimpleQueue[tuple[Sequence[Question], Future[Sequence[Answer]]] | None] = SimpleQueue()
        self._closed = False
        Thread(target=self._run, name="model", daemon=True).start()

    def submit(self, questions: Sequence[Question]) -> "Future[Sequence[Answer]]":
        if self._closed:
            msg = "the model's thread is closed"
            raise RuntimeError(msg)
        call: Future[Sequence[Answer]] = Future()
        self._calls.put((questions, call))
        return call

    def close(self) -> None:
        self._closed = True
        self._calls.put(None)

    def _run(self) -> None:
        while (asked := self._calls.get()) is not None:
            questions, call = asked
            if not call.set_running_or_notify_cancel():
                continue
            try:
                call.set_result(self._score(questions))
            except BaseException as error:
                call.set_exception(error)
