"""Waiting for a condition on something real, with a bound and a name for what was waited for."""

import time
from collections.abc import Callable

_POLL_S = 0.3


def wait_until(condition: Callable[[], bool], *, timeout_s: float, what: str) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {timeout_s:g} s"
        time.sleep(_POLL_S)
