"""The helper processes of the page: queries and models run in them, so that they can be ended, and hold up no reader.

A helper is this Python with a module of its own. It reads one question a line from its standard input and writes one
answer a line, both JSON. It is started with the first question, and ended when it is not needed, when an answer takes
too long, and with the process that started it, however that ends.
"""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

import msgspec

from job.deployment.shipping import PROJECT
from job.page.errors import HelperBusyError, HelperGoneError, HelperSlowError, PageError
from model.errors import RecloopError
from model.parent_watch import ORPHANED, end_with

Answer = Callable[..., object]
"""A function that answers one kind of question; its keyword arguments are the question's fields."""

_LONGEST_LINE = 64 << 20
_MOST_WAITING = 8
_IDLE_S = 300.0


class _Reply(msgspec.Struct):
    """An answer, or the sentence that says why there is none."""

    answer: Any = None
    problem: str | None = None


class HelperProcess:
    """A helper process, one question at a time."""

    def __init__(self, module: str, config: Mapping[str, Any]) -> None:
        """Name the helper; it is started with the first question.

        Args:
            module: the Python module to run, which calls `answer_questions`.
            config: its first line.
        """
        self._module = module
        self._config = msgspec.json.encode(config, enc_hook=str) + b"\n"
        self._process: Process | None = None
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._idle: asyncio.TimerHandle | None = None

    async def ask(self, kind: str, *, timeout_s: float, **question: Any) -> Any:
        """Return the answer to a question.

        Raises:
            HelperBusyError: too many questions wait already.
            HelperSlowError: it took longer than `timeout_s`, which does not count the wait for questions before it.
            HelperGoneError: the process ended before it answered.
            PageError: the question has no answer; the text says why.
        """
        if self._waiting >= _MOST_WAITING:
            msg = "too many questions are under way: try again in a moment"
            raise HelperBusyError(msg)
        self._waiting += 1
        try:
            async with self._turn:
                reply = await self._whole(self._exchange({"kind": kind, **question}), timeout_s)
        finally:
            self._waiting -= 1
        if reply.problem is not None:
            raise PageError(reply.problem)
        return reply.answer

    async def close(self) -> None:
        """End the process, if it runs."""
        if self._idle is not None:
            self._idle.cancel()
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()

    async def _whole(self, exchange: Awaitable[_Reply], timeout_s: float) -> _Reply:
        """Await an exchange; end the process unless it was whole, as the next answer would be that of this question."""
        try:
            return await asyncio.wait_for(exchange, timeout_s)
        except TimeoutError as error:
            await self.close()
            msg = f"no answer within {timeout_s:g} s: ask for less"
            raise HelperSlowError(msg) from error
        except BaseException:
            await self.close()
            raise

    async def _exchange(self, question: Mapping[str, Any]) -> _Reply:
        process = await self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(msgspec.json.encode(question) + b"\n")
            await process.stdin.drain()
            line = await process.stdout.readline()
        except (ConnectionError, ValueError) as error:
            raise _gone() from error
        if not line.endswith(b"\n"):
            raise _gone()
        self._end_when_idle()
        return msgspec.json.decode(line, type=_Reply)

    async def _running(self) -> Process:
        if self._process is None or self._process.returncode is not None:
            command = [sys.executable, "-m", self._module]
            # A session of its own: Ctrl-C is for the server, which then ends its helpers.
            self._process = await asyncio.create_subprocess_exec(
                *command, stdin=PIPE, stdout=PIPE, cwd=PROJECT, limit=_LONGEST_LINE, start_new_session=True
            )
            assert self._process.stdin is not None
            self._process.stdin.write(self._config)
        return self._process

    def _end_when_idle(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        self._idle = asyncio.get_running_loop().call_later(_IDLE_S, self._end_if_idle)

    def _end_if_idle(self) -> None:
        if not self._waiting and self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()  # at the end of its input it ends
            self._process = None


def answer_questions(prepare: Callable[[Any], Mapping[str, Answer]]) -> None:
    """Answer questions until the input ends: the main function of a helper.

    Args:
        prepare: called once with the helper's configuration; returns kind of question -> function that answers.
    """
    end_with([os.getppid()])
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not get between the answers
    lines = sys.stdin.buffer
    answers = prepare(msgspec.json.decode(lines.readline()))
    for line in lines:
        reply = msgspec.json.encode(_reply(answers, msgspec.json.decode(line)), enc_hook=str)
        try:
            out.write(reply + b"\n")
            out.flush()
        except BrokenPipeError:
            os._exit(ORPHANED)  # nobody waits for it


def _reply(answers: Mapping[str, Answer], question: dict[str, Any]) -> _Reply:
    try:
        return _Reply(answer=answers[question.pop("kind")](**question))
    except (RecloopError, OSError) as error:
        return _Reply(problem=" ".join(str(error).split()))


def _gone() -> HelperGoneError:
    return HelperGoneError("the process that answers ended, as when its memory runs out: ask for less")
