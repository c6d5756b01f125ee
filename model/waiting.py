"""Waiting for conditions outside the process: by polling, and never for ever."""

import time
from collections.abc import Callable, Iterator
from typing import TypeVar

_Answer = TypeVar("_Answer")
_Passing = type[Exception] | tuple[type[Exception], ...]


def polls(*, timeout_s: float, poll_s: float) -> Iterator[None]:
    """Yield at once, then every `poll_s` seconds until `timeout_s` seconds are over; at least once in any case.

    For loops that do more than check: the code after the loop is reached when the time is over.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        yield
        if time.monotonic() >= deadline:
            return
        time.sleep(poll_s)


def wait_until(ask: Callable[[], _Answer], *, timeout_s: float, poll_s: float) -> _Answer:
    """Return the first true answer, or the last one, which is false, when the time is over.

    Args:
        ask: called at once, and at least once.
        timeout_s: seconds after which it is not called again.
        poll_s: seconds between two calls.
    """
    for _ in polls(timeout_s=timeout_s, poll_s=poll_s):
        if answer := ask():
            break
    return answer


def retry(call: Callable[[], _Answer], passing: _Passing, *, timeout_s: float, poll_s: float) -> _Answer:
    """Return the result of a call, which is repeated while it raises one of the errors `passing`.

    Raises:
        Exception: any other error of the call at once; the last passing error when the time is over.
    """
    for _ in polls(timeout_s=timeout_s, poll_s=poll_s):
        try:
            return call()
        except passing as error:
            last = error
    raise last


def counts_up_to(wanted: int, count: Callable[[], int], *, stalled_s: float, poll_s: float) -> Iterator[int]:
    """Yield a count every `poll_s` seconds until it reaches `wanted`, or has not changed for `stalled_s` seconds.

    The last count is below `wanted` only if it stalled.
    """
    seen, changed = -1, time.monotonic()
    while True:
        if (now := count()) != seen:
            seen, changed = now, time.monotonic()
        yield now
        if now >= wanted or time.monotonic() - changed > stalled_s:
            return
        time.sleep(poll_s)
