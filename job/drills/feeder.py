"""A feeder that appends a finished log to another one little by little, so that a fault comes in the middle of work.

All partitions grow evenly. At the end both logs have the same bytes.
"""

import shutil
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

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


def copy_log(source: Path, target: Path) -> list[Fed]:
    """Copy the whole log at once."""
    shutil.copytree(source, target)
    return [Fed(int(time.time() * 1000), tuple(map(len, _read_partitions(source))))]


class Feeder:
    """A thread that copies a log at a rate, from `start` to the log's end; leaving the block stops it."""

    def __init__(self, source: Path, target: Path, rate: float) -> None:
        """Make the target log; `rate` is in records a second over all partitions."""
        self._lines = _read_partitions(source)
        self._target = target
        create_log(target, len(self._lines))
        self._seconds = sum(map(len, self._lines)) / rate
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="feeder", daemon=True)
        self._error: Exception | None = None
        self.fed: list[Fed] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def finish(self) -> None:
        """Wait until the whole log is copied; raise the error that stopped the thread, if any."""
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            self._feed()
        except Exception as error:  # raised by finish()
            self._error = error

    def _feed(self) -> None:
        writers = [PartitionWriter(self._target, partition) for partition in range(len(self._lines))]
        ends = [0] * len(writers)
        share, began = 0.0, time.monotonic()
        while share < 1 and not self._stop.wait(_TICK_S):
            share = min(1.0, (time.monotonic() - began) / self._seconds)
            for partition, (writer, lines) in enumerate(zip(writers, self._lines, strict=True)):
                end = round(share * len(lines))
                writer.append(lines[ends[partition] : end])
                ends[partition] = end
            self.fed.append(Fed(int(time.time() * 1000), tuple(ends)))
        for writer in writers:
            writer.close()


def same_bytes(log: Path, other: Path) -> bool:
    """Return whether two logs have the same bytes."""
    partitions = range(len(list(log.glob("partition-*.jsonl"))))
    return all(partition_file(log, n).read_bytes() == partition_file(other, n).read_bytes() for n in partitions)
