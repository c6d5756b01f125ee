"""Asking Flink while a job is failing: in the moment in which tasks are cancelled it answers with an error 500."""

import time
from collections.abc import Callable
from typing import TypeVar

from job.cluster import RefusedError

Answer = TypeVar("Answer")
_PATIENCE_S = 10.0
_POLL_S = 0.1


def asked(question: Callable[[], Answer], *, patience_s: float = _PATIENCE_S) -> Answer:
    """The answer, after asking again as long as Flink refuses one.

    Raises:
        RefusedError: it refused for the whole of `patience_s`.
        UnreachableError: nobody answers.
    """
    deadline = time.monotonic() + patience_s
    while True:
        try:
            return question()
        except RefusedError:
            if time.monotonic() > deadline:
                raise
        time.sleep(_POLL_S)
