"""A helper answers, refuses with a sentence, and never holds anybody up: it is ended and begun anew."""

import asyncio
import sys
import time
from collections.abc import Mapping
from typing import Any

import psutil
import pytest

from job.page.errors import HelperGoneError, HelperSlowError, PageError
from job.page.helper import Answer, HelperProcess, answer_questions

pytestmark = pytest.mark.heavy


def _answers(config: Mapping[str, Any]) -> Mapping[str, Answer]:
    def add(number: int) -> int:
        print("a library that prints")  # must not get between the answers
        return int(config["to"]) + number

    def refuse() -> None:
        msg = "there is\nno such thing"
        raise PageError(msg)

    return {"add": add, "refuse": refuse, "wait": lambda: time.sleep(600), "exit": lambda: sys.exit(3)}


def helper() -> HelperProcess:
    return HelperProcess("tests.page.test_helper", {"to": 40})


def children() -> list[psutil.Process]:
    return [each for each in psutil.Process().children() if "tests.page.test_helper" in " ".join(each.cmdline())]


async def _questions() -> None:
    asked = helper()
    try:
        assert await asked.ask("add", timeout_s=60, number=2) == 42
        together = await asyncio.gather(*(asked.ask("add", timeout_s=60, number=n) for n in range(5)))
        assert together == [40, 41, 42, 43, 44]
        with pytest.raises(PageError, match="there is no such thing"):
            await asked.ask("refuse", timeout_s=60)
        with pytest.raises(HelperGoneError):
            await asked.ask("exit", timeout_s=60)
        assert await asked.ask("add", timeout_s=60, number=3) == 43
    finally:
        await asked.close()
    assert children() == []


def test_answers_refusals_and_ends() -> None:
    asyncio.run(_questions())


async def _slow() -> None:
    asked = helper()
    try:
        await asked.ask("add", timeout_s=60, number=1)
        (first,) = children()
        with pytest.raises(HelperSlowError, match="no answer within"):
            await asked.ask("wait", timeout_s=0.3)
        assert not first.is_running()
        assert await asked.ask("add", timeout_s=60, number=2) == 42
    finally:
        await asked.close()


def test_a_question_that_takes_too_long_ends_the_helper_and_the_next_has_another() -> None:
    asyncio.run(_slow())


if __name__ == "__main__":
    answer_questions(_answers)
