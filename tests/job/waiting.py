"""Waiting for a condition on something real, with a bound and a name for what was waited for."""

from collections.abc import Callable
from typing import TypeVar

from model import waiting

_Answer = TypeVar("_Answer")


def wait_until(ask: Callable[[], _Answer], *, timeout_s: float, what: str, poll_s: float = 0.3) -> _Answer:
    """The first true answer."""
    answer = waiting.wait_until(ask, timeout_s=timeout_s, poll_s=poll_s)
    assert answer, f"{what}: not within {timeout_s:g} s"
    return answer
