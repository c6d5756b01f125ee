"""Micro-batches: the questions of several callers, gathered into one call of the model.

Pure asyncio: no Flink, no torch. Each caller gets one answer a question, in order, whatever batches they were in.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic

from udfs.model_serving.model_calls import Answered
from udfs.model_serving.model_thread import Answer, Question


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRules:
    """Rules for making batches.

    Attributes:
        max_size: most questions in one call.
        linger_ms: longest wait of a batch that is not full for more questions, from the arrival of its oldest.
            A question that finds the model idle never waits.
    """

    max_size: int
    linger_ms: float


class _Submission(Generic[Question, Answer]):
    """The questions of one caller, and the answers so far."""

    def __init__(self, questions: Sequence[Question], now: float) -> None:
        self.questions = questions
        self.taken = 0
        self.arrived = now
        self.answers: list[Answered[Answer]] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class MicroBatcher(Generic[Question, Answer]):
    """A queue that makes one call at a time, of up to `max_size` questions. Lives on one event loop."""

    def __init__(self, call: Callable[[list[Question]], Awaitable[list[Answered[Answer]]]], rules: BatchRules) -> None:
        if rules.max_size < 1:
            msg = f"max_size is at least 1, not {rules.max_size}"
            raise ValueError(msg)
        self._call = call
        self._rules = rules
        self._waiting: deque[_Submission[Question, Answer]] = deque()
        self._queued = 0
        self._full = asyncio.Event()
        self._runner: asyncio.Task[None] | None = None

    async def submit(self, questions: Sequence[Question]) -> list[Answered[Answer]]:
        """Return the answers to the questions, in their order."""
        if not questions:
            return []
        loop = asyncio.get_running_loop()
        submission = _Submission[Question, Answer](questions, loop.time())
        self._waiting.append(submission)
        self._queued += len(questions)
        if self._queued >= self._rules.max_size:
            self._full.set()
        if self._runner is None:
            self._runner = loop.create_task(self._run())
        await submission.done
        return submission.answers

    async def _run(self) -> None:
        """Send batches until nobody waits; the first at once, since the model was idle."""
        batch: list[tuple[_Submission[Question, Answer], Question]] = []
        try:
            while self._waiting:
                batch = self._take()
                self._hand_back(batch, await self._call([question for _, question in batch]))
                await self._linger()
        except Exception as error:
            self._abandon(batch, error)
        finally:
            self._runner = None

    def _take(self) -> list[tuple[_Submission[Question, Answer], Question]]:
        """Take the oldest questions, up to the maximum; a large submission is spread over several batches."""
        batch: list[tuple[_Submission[Question, Answer], Question]] = []
        while self._waiting and len(batch) < self._rules.max_size:
            first = self._waiting[0]
            end = min(len(first.questions), first.taken + self._rules.max_size - len(batch))
            batch.extend((first, question) for question in first.questions[first.taken : end])
            first.taken = end
            if end == len(first.questions):
                self._waiting.popleft()
        self._queued -= len(batch)
        if self._queued < self._rules.max_size:
            self._full.clear()
        return batch

    def _hand_back(
        self,
        batch: list[tuple[_Submission[Question, Answer], Question]],
        answers: list[Answered[Answer]],
    ) -> None:
        for (submission, _), answer in zip(batch, answers, strict=True):
            submission.answers.append(answer)
            if len(submission.answers) == len(submission.questions) and not submission.done.done():
                submission.done.set_result(None)

    async def _linger(self) -> None:
        """Wait for a full batch, until the oldest question has waited for `linger_ms`."""
        if not self._waiting or self._full.is_set():
            return
        left = self._waiting[0].arrived + self._rules.linger_ms / 1000 - asyncio.get_running_loop().time()
        if left > 0:
            try:
                await asyncio.wait_for(self._full.wait(), left)
            except TimeoutError:
                return

    def _abandon(self, batch: list[tuple[_Submission[Question, Answer], Question]], error: Exception) -> None:
        """Pass an error that is not the model's on to everybody who waits: their task fails, and Flink restores."""
        for submission in [*(submission for submission, _ in batch), *self._waiting]:
            if not submission.done.done():
                submission.done.set_exception(error)
        self._waiting.clear()
        self._queued = 0
