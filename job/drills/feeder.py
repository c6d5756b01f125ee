"""A feeder that appends a finished log to another one little by little, so that a fault comes in the middle of work.

All partitions grow evenly. Both logs have the same bytes as far as it came.
"""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from job.drills.drill_log import DrillLog
from job.drills.run_log import RunLog

_TICK_S = 0.05


@dataclass(frozen=True, slots=True)
class Fed:
    """The size of the log at a moment (epoch ms): the end offset of each partition."""

    at_ms: int
    ends: tuple[int, ...]


def _read_partitions(log: Path) -> list[list[bytes]]:
    """Return the lines of each partition, without line ends."""
    files = sorted(log.glob("partition-*.jsonl"))
    return [file.read_bytes().split(b"\n")[:-1] for file in files]


class Feeder:
    """A writer that copies a log segment by segment at a rate, on a thread; leaving the block stops it.

    Attributes:
        log: the log that grows.
        fed: its sizes so far.
    """

    def __init__(self, source: DrillLog, target: RunLog, rate: float) -> None:
        """Take over the target log, still empty; `rate` is in records a second over all partitions."""
        self._source = source
        self._lines = _read_partitions(source.folder)
        self.log = target
        self._rate = rate
        self._at = list(source.start(0))
        self._hurry, self._stop = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._error: Exception | None = None
        self.fed: list[Fed] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._hurry.set()
        if self._thread is not None:
            self._thread.join()
        self.log.close()

    @property
    def appended(self) -> int:
        """The number of records that were appended, and are there for readers."""
        return sum(self.log.lengths())

    def begin(self, segment: int, slower: float = 1.0) -> None:
        """Start to feed a segment, so many times slower than usual; the one before is finished."""
        self._hurry.clear()
        self._thread = threading.Thread(target=self._run, args=(segment, slower), name="feeder", daemon=True)
        self._thread.start()

    def hurry(self) -> None:
        """Append what is left of the segment at once."""
        self._hurry.set()

    def finish(self) -> None:
        """Wait until the segment is copied; raise the error that stopped the thread, if any."""
        if self._thread is not None:
            self._thread.join()
        if self._error is not None:
            raise self._error

    def _run(self, segment: int, slower: float) -> None:
        try:
            self._feed(self._source.ends[segment], self._rate / slower)
        except Exception as error:  # raised by finish()
            self._error = error

    def _feed(self, ends: Sequence[int], rate: float) -> None:
        starts, began = list(self._at), time.monotonic()
        seconds = (sum(ends) - sum(starts)) / rate
        share = 0.0
        while share < 1:
            share = 1.0 if self._hurry.wait(_TICK_S) else min(1.0, (time.monotonic() - began) / seconds)
            if self._stop.is_set():
                return
            self._grow([start + round(share * (end - start)) for start, end in zip(starts, ends, strict=True)])
        while self.log.lengths() != list(ends):
            if self._stop.wait(_TICK_S):
                return
            self._take_note()
        self._take_note()

    def _grow(self, ends: Sequence[int]) -> None:
        for partition, lines in enumerate(self._lines):
            self.log.append(partition, lines[self._at[partition] : ends[partition]])
            self._at[partition] = ends[partition]
        self._take_note()

    def _take_note(self) -> None:
        """Take note of the log's size, if it has grown."""
        lengths = tuple(self.log.lengths())
        if not self.fed or self.fed[-1].ends != lengths:
            self.fed.append(Fed(int(time.time() * 1000), lengths))

    def has_same_records(self) -> bool:
        """Return whether the log has the source's records, as far as it was fed, and no others."""
        return self.log.holds(self._lines)
