"""Python's garbage collector in operators: its full collections leave out what lives long, and are counted and timed.

A full collection examines every object there is. In a worker with torch and Beam these are hundreds of thousands, and
under load each collection held up all lists by a quarter of a second, every few seconds.
"""

import gc
import time
from threading import Lock
from typing import Any, NamedTuple

_OLDEST = 2
"""The generation whose collection examines all objects."""


class Pauses(NamedTuple):
    """Full collections, and the time that they took in ms."""

    number: int
    ms: int


class _Collections:
    """A count of this interpreter's full collections."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._number, self._seconds = 0, 0.0
        self._began = 0.0
        gc.callbacks.append(self._note)

    def take(self) -> Pauses:
        """Return the collections since the last call."""
        with self._lock:
            if not self._number:
                return Pauses(0, 0)
            pauses = Pauses(self._number, round(self._seconds * 1000))
            self._number, self._seconds = 0, 0.0
            return pauses

    def _note(self, phase: str, info: dict[str, Any]) -> None:
        """Note a collection. Takes no lock, since it can run inside any statement, that of `take` included."""
        if info["generation"] != _OLDEST:
            return
        if phase == "start":
            self._began = time.perf_counter()
        else:
            self._number += 1
            self._seconds += time.perf_counter() - self._began


_collections = _Collections()


def settle() -> None:
    """Collect garbage once, and leave everything alive now out of later collections.

    Each operator calls it at the end of its `open`, and the scorer after it has replaced a model. What an earlier call
    left out is examined again, so that a replaced model is freed.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def pauses() -> Pauses:
    """Return this interpreter's full collections since the last call, whichever operator made it."""
    return _collections.take()
