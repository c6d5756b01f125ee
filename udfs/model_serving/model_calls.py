"""Calls of a model on a thread of its own; scoring goes on without it when it is late, fails or hangs.

Pure asyncio: no Flink, no torch. Every question gets one answer, or one reason why there is none.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, NamedTuple

from udfs.elements import FallbackReason
from udfs.flink.worker_life import end_for_hung_call, end_for_lack_of_memory
from udfs.model_serving.circuit import Circuit, CircuitRules
from udfs.model_serving.model_thread import Answer, ModelThread, Question
from udfs.model_serving.out_of_memory import OutOfMemory

_log = logging.getLogger(__name__)


class Answered(NamedTuple, Generic[Answer]):
    """The outcome of one question; `answer` is None where there is a `failure`."""

    answer: Answer | None
    failure: FallbackReason | None
    batch_size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRules:
    """Limits of a model's calls.

    Attributes:
        deadline_ms: longest time of a call; None sets no bound, and no circuit ever opens.
        circuit: limits after which the model is not called for a while. A call that is still out after as many
            deadlines as there may be timeouts in a row opens the circuit too.
        hung_s: a call that is out for so long ends the process: nothing else takes a thread back.
    """

    deadline_ms: float | None
    circuit: CircuitRules = field(default_factory=CircuitRules)
    hung_s: float = 30.0


class ModelCalls(Generic[Question, Answer]):
    """A caller of `score`; it is called again only after it has answered. Lives on one event loop.

    `score` runs on one thread; a call that finds the cool-down over and that thread still taken gets a new thread. A
    hung call may then be in `score` beside its successors, and its late answer is dropped. The circuit's cool-downs
    bound the number of such calls: at most 8 within 30 s.

    `on_failure` is called with the model's own exceptions, `on_hang` when a call hangs, `on_lack` when the model had
    memory and finds none any more.
    """

    def __init__(
        self,
        score: Callable[[Sequence[Question]], Sequence[Answer | Exception]],
        rules: CallRules,
        on_failure: Callable[[BaseException], None],
        on_hang: Callable[[], None] = end_for_hung_call,
        on_lack: Callable[[], None] = end_for_lack_of_memory,
    ) -> None:
        self._score = score
        self._rules = rules
        self._on_failure = on_failure
        self._on_hang = on_hang
        self._on_lack = on_lack
        self._memory = OutOfMemory()
        self._circuit = Circuit(rules.circuit)
        self._thread = ModelThread(score)
        self._overdue: asyncio.Future[Sequence[Answer | Exception]] | None = None
        self._stuck_at = 0.0

    async def __call__(self, questions: list[Question]) -> list[Answered[Answer]]:
        """Call the model once; return its answers in the questions' order, or the same failure for all of them.

        An answer that is an exception is a failure of its question alone.

        Raises:
            RuntimeError: the number of answers differs from that of the questions, or this is closed.
        """
        size = len(questions)
        answers = self._refusal() or await self._ask(questions)
        if isinstance(answers, FallbackReason):
            return [Answered(answer=None, failure=answers, batch_size=size)] * size
        if len(answers) != size:
            msg = f"the model gave {len(answers)} answers to {size} questions"
            raise RuntimeError(msg)
        answered: list[Answered[Answer]] = []
        for answer in answers:
            if isinstance(answer, Exception):
                self._on_failure(answer)
                answered.append(Answered(answer=None, failure=FallbackReason.MODEL_ERROR, batch_size=size))
            else:
                answered.append(Answered(answer=answer, failure=None, batch_size=size))
        return answered

    def close(self) -> None:
        """Let the thread end, once its call is over."""
        self._thread.close()

    def _refusal(self) -> FallbackReason | None:
        """Return why the model is not called now; None if it is, and then a thread is free."""
        now = asyncio.get_running_loop().time()
        if self._circuit.refuses(now):
            return FallbackReason.CIRCUIT_OPEN
        if self._overdue is None or self._overdue.done():
            return None
        if self._circuit.is_open:
            self._thread.close()
            self._thread, self._overdue = ModelThread(self._score), None
            return None
        if now < self._stuck_at:
            return FallbackReason.MODEL_BUSY
        self._circuit.open(now)
        _log.warning("the model does not come back: fallback lists go on")
        return FallbackReason.CIRCUIT_OPEN

    async def _ask(self, questions: list[Question]) -> Sequence[Answer | Exception] | FallbackReason:
        loop = asyncio.get_running_loop()
        call = self._thread.call(questions)
        # `on_hang` is called if the call hangs, even if nobody waits for it any more.
        alarm = loop.call_later(self._rules.hung_s, self._on_hang)
        call.add_done_callback(lambda _: alarm.cancel())
        deadline_ms = self._rules.deadline_ms
        await asyncio.wait({call}, timeout=None if deadline_ms is None else deadline_ms / 1000)
        if deadline_ms is not None and not call.done():
            self._miss(call, deadline_ms / 1000, loop.time())
            return FallbackReason.DEADLINE
        if self._circuit.is_open:
            _log.warning("the model answers in time again")
        self._circuit.in_time()
        if self._note_failure(call):
            return FallbackReason.MODEL_ERROR
        self._memory.answered()
        return call.result()

    def _miss(self, call: "asyncio.Future[Sequence[Answer | Exception]]", deadline_s: float, now: float) -> None:
        """Note that the call is late: its answer is dropped, but its end is watched for."""
        self._overdue, self._stuck_at = call, now + (self._rules.circuit.timeouts - 1) * deadline_s
        call.add_done_callback(self._note_failure)
        was_open = self._circuit.is_open
        self._circuit.timed_out(now)
        if self._circuit.is_open and not was_open:
            _log.warning("the model was late %d times in a row: fallback lists go on", self._rules.circuit.timeouts)

    def _note_failure(self, call: "asyncio.Future[Sequence[Answer | Exception]]") -> bool:
        if call.cancelled() or (error := call.exception()) is None:
            return False
        self._on_failure(error)
        if self._memory.is_for_good(error):
            self._on_lack()
        return True
