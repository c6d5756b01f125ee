"""A feeder that appends a finished log to another one little by little, so that a fault comes in the middle of work.

All partitions grow evenly. Both logs have the same bytes as far as it came.
"""

import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from job.drills.drill_log import DrillLog
from job.replay.log_writer import PartitionWriter, create_log
from udfs.log.file_log import partition_file

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
    """A writer that copies a log segment by segment at a rate, on a thread; leaving the block stops it."""

    def __init__(self, source: DrillLog, target: Path, rate: float) -> None:
        """Make the target log; `rate` is in records a second over all partitions."""
        self._source = source
        self._lines = _read_partitions(source.folder)
        self._target = target
        create_log(target, len(self._lines))
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

    @property
    def appended(self) -> int:
        """The number of records that were appended."""
        return sum(self._at)

    def begin(self, segment: int) -> None:
        """Start to feed a segment; the one before is finished."""
        self._hurry.clear()
        self._thread = threading.Thread(target=self._run, args=(segment,), name="feeder", daemon=True)
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

    def _run(self, segment: int) -> None:
        try:
            self._feed(self._source.ends[segment])
        except Exception as error:  # raised by finish()
            self._error = error

    def _feed(self, ends: Sequence[int]) -> None:
        starts, began = list(self._at), time.monotonic()
        seconds = (sum(ends) - sum(starts)) / self._rate
        with ExitStack() as stack:
            writers = [
                stack.enter_context(closing(PartitionWriter(self._target, partition)))
                for partition in range(len(self._lines))
            ]
            share = 0.0
            while share < 1:
                share = 1.0 if self._hurry.wait(_TICK_S) else min(1.0, (time.monotonic() - began) / seconds)
                if self._stop.is_set():
                    return
                self._grow(
                    writers, [start + round(share * (end - start)) for start, end in zip(starts, ends, strict=True)]
                )

    def _grow(self, writers: Sequence[PartitionWriter], ends: Sequence[int]) -> None:
        for partition, (writer, lines) in enumerate(zip(writers, self._lines, strict=True)):
            writer.append(lines[self._at[partition] : ends[partition]])
            self._at[partition] = ends[partition]
        self.fed.append(Fed(int(time.time() * 1000), tuple(ends)))


def has_same_bytes(log: Path, start: Path) -> bool:
    """Return whether a log begins with the bytes of another."""
    partitions = range(len(list(log.glob("partition-*.jsonl"))))
    return all(
        partition_file(log, n).read_bytes().startswith(partition_file(start, n).read_bytes()) for n in partitions
    )
