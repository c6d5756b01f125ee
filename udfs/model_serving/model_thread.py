"""Daemon threads for a model that may hang.

A ThreadPoolExecutor's thread would not do: when the process ends, its hook waits for a call that may never return.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import Generic, TypeVar

Question = TypeVar("Question")
Answer = TypeVar("Answer")


class ModelThread(Generic[Question, Answer]):
    """A thread that makes one call of `score` after another for an event loop."""

    def __init__(self, score: Callable[[Sequence[Question]], Sequence[Answer]]) -> None:
        self._score = score
        self._calls: SimpleQueue[tuple[Sequence[Question], asyncio.Future[Sequence[Answer]]] | None] = SimpleQueue()
        self._closed = False
        Thread(target=self._run, name="model", daemon=True).start()

    def call(self, questions: Sequence[Question]) -> "asyncio.Future[Sequence[Answer]]":
        """Queue a call of `score`; return a future of its answers, or of the exception it raises.

        Raises:
            RuntimeError: the thread is closed.
        """
        if self._closed:
            msg = "the model's thread is closed"
            raise RuntimeError(msg)
        call: asyncio.Future[Sequence[Answer]] = asyncio.get_running_loop().create_future()
        self._calls.put((questions, call))
        return call

    def close(self) -> None:
        """Have the thread end once its call is over, if ever."""
        self._closed = True
        self._calls.put(None)

    def _run(self) -> None:
        while (asked := self._calls.get()) is not None:
            questions, call = asked
            try:
                settle = partial(call.set_result, self._score(questions))
            except BaseException as error:
                settle = partial(call.set_exception, error)
            # The loop is closed when nobody waits any more.
            with suppress(RuntimeError):
                call.get_loop().call_soon_threadsafe(_unless_done, call, settle)


def finished_within(timeout_s: float, work: Callable[[], None]) -> bool:
    """Do the work on a daemon thread, and return whether it is done in time; work that is late goes on there.

    Raises what the work raises in time.
    """
    done: Future[None] = Future()

    def run() -> None:
        try:
            work()
        except BaseException as error:
            done.set_exception(error)
        else:
            done.set_result(None)

    Thread(target=run, name="model", daemon=True).start()
    if not wait([done], timeout_s).done:
        return False
    done.result()
    return True


def _unless_done(call: "asyncio.Future[Sequence[Answer]]", settle: Callable[[], None]) -> None:
    if not call.done():
        settle()
