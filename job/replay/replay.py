"""The replay of a data set into a log, in time order, at a chosen pace; it stops and resumes without loss.

The progress of a replay is read from the log itself: each partition has a prefix of the data set's behaviours of that
partition, after the records that were there before. So a replay that was killed at any point resumes exactly there.
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from threading import TIMEOUT_MAX
from typing import Annotated, Protocol

import msgspec

from model.datasets.json_lines import encode_behavior
from model.datasets.prepared import Dataset
from model.errors import RecloopError
from model.files import replace_file
from model.records import UserBehavior
from udfs.hashing import stable_hash

_BATCH = 1024
_SLICE_S = 0.005


class ReplayMismatchError(RecloopError):
    """The log does not match the replay that is to resume."""


class _Notes(msgspec.Struct, frozen=True):
    """The data set of a replay, and the length of each partition before its first run."""

    fingerprint: str
    base: tuple[Annotated[int, msgspec.Meta(ge=0)], ...]


class ReplayTarget(Protocol):
    """A log that only the replay appends to: files (`files_target`), or a topic (`topic_target`).

    A user's behaviours go into the partition `stable_hash(user_id) % number of partitions`. Whenever a process dies,
    each partition holds a prefix of the records appended to it.

    Attributes:
        name: the log's name in messages.
        notes: the folder of replays' notes on this log; each log has its own.
    """

    name: str
    notes: Path

    def lengths(self) -> list[int]:
        """Return how many records were ever appended to each partition; called before the first append."""

    def last_records(self) -> list[bytes]:
        """Return each partition's last record as `encode_behavior` writes it, or other bytes if it is none."""

    def append(self, behaviors: Sequence[UserBehavior]) -> None:
        """Append in the order given; all behaviours are in the log on return."""


class Clock(Protocol):
    """The clock of a replay."""

    def now(self) -> float:
        """Return the seconds since any fixed moment."""

    def sleep(self, seconds: float) -> None:
        """Wait for so many seconds."""


class _WallClock:
    """The machine's own clock."""

    def now(self) -> float:
        """Return `time.monotonic()`."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Call `time.sleep`, with the longest time that it takes at most."""
        time.sleep(min(seconds, TIMEOUT_MAX))


@dataclass(frozen=True, slots=True)
class Pace:
    """The pace at which behaviours are appended; without speed and rate, as fast as the log accepts them.

    Attributes:
        speed: how many times faster than the clock event time runs.
        rate: behaviours a second.
    """

    speed: float | None = None
    rate: float | None = None

    def due_s(self, number: int, behavior: UserBehavior, first_ms: int) -> float:
        """Return when the number-th behaviour (from 0) is due, in seconds from the start."""
        if self.rate is not None:
            return number / self.rate
        if self.speed is not None:
            return (behavior.timestamp - first_ms) / 1000 / self.speed
        return 0.0


@dataclass(frozen=True, slots=True)
class Replayed:
    """The result of a replay.

    Attributes:
        appended: the number of behaviours appended by this run.
        before: the number that earlier runs of the same replay had appended.
        seconds: the duration of this run.
    """

    appended: int
    before: int
    seconds: float


def replay(
    dataset: Dataset,
    target: ReplayTarget,
    *,
    pace: Pace = Pace(),
    limit: int | None = None,
    on_progress: Callable[[int], None] = lambda _: None,
    clock: Clock = _WallClock(),  # noqa: B008 - stateless
) -> Replayed:
    """Append the data set's first `limit` behaviours to a log, continuing after an earlier run.

    Args:
        dataset: a prepared data set.
        target: the log.
        pace: the speed or rate.
        limit: the number of behaviours; None takes all.
        on_progress: called with the number of behaviours in the log, including those of earlier runs.
        clock: the source of time.

    Raises:
        ReplayMismatchError: something else has changed the log since this replay began.
    """
    began = clock.now()
    there = _already_there(dataset, target)
    before = sum(there)
    on_progress(before)
    fresh = _skip(islice(dataset.behaviors(), limit), there, target.last_records(), _mismatch(dataset, target))
    appended = 0
    for batch in _due(fresh, pace, clock):
        target.append(batch)
        appended += len(batch)
        on_progress(before + appended)
    return Replayed(appended, before, clock.now() - began)


def _already_there(dataset: Dataset, target: ReplayTarget) -> list[int]:
    """Return how many of the data set's behaviours each partition has already.

    The first run notes the lengths that the partitions have before it.
    """
    lengths = target.lengths()
    file = _notes(dataset, target)
    if not file.exists():
        replace_file(file, json.dumps({"fingerprint": dataset.info.fingerprint, "base": lengths}).encode())
    try:
        notes = msgspec.json.decode(file.read_bytes(), type=_Notes)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        msg = f"{file}, the notes of a replay, is damaged ({error}): remove it to append the data set once more"
        raise ReplayMismatchError(msg) from error
    there = [now - base for now, base in zip(lengths, notes.base, strict=False)]
    if (notes.fingerprint, len(notes.base)) != (dataset.info.fingerprint, len(lengths)) or min(there) < 0:
        raise _mismatch(dataset, target)
    return there


def _notes(dataset: Dataset, target: ReplayTarget) -> Path:
    return target.notes / f"replay-{dataset.info.name}.json"


def _mismatch(dataset: Dataset, target: ReplayTarget) -> ReplayMismatchError:
    return ReplayMismatchError(
        f"{_notes(dataset, target)} tells of a replay that {target.name} does not hold: remove it to append the data "
        "set once more"
    )


def _skip(
    behaviors: Iterator[UserBehavior], there: list[int], ends: list[bytes], mismatch: ReplayMismatchError
) -> Iterator[UserBehavior]:
    """Yield the behaviours that are not in the log yet.

    Raise `mismatch` if a partition's last record is not the behaviour of this data set that it should be.
    """
    left = list(there)
    for behavior in behaviors:
        partition = stable_hash(behavior.user_id) % len(left)
        if not left[partition]:
            yield behavior
            continue
        left[partition] -= 1
        if not left[partition] and ends[partition] != encode_behavior(behavior):
            raise mismatch


def _due(behaviors: Iterator[UserBehavior], pace: Pace, clock: Clock) -> Iterator[list[UserBehavior]]:
    """Yield batches, each when its behaviours are due."""
    start, first_ms = clock.now(), None
    batch: list[UserBehavior] = []
    for number, behavior in enumerate(behaviors):
        first_ms = behavior.timestamp if first_ms is None else first_ms
        wait_s = start + pace.due_s(number, behavior, first_ms) - clock.now()
        if batch and (wait_s > 0 or len(batch) == _BATCH):
            yield batch
            batch = []
        if wait_s > 0:
            clock.sleep(max(wait_s, _SLICE_S if pace.rate and pace.rate > 1 / _SLICE_S else 0))
        batch.append(behavior)
    if batch:
        yield batch
