"""Replaying a data set into a log, in time order, at a chosen pace; stopped and resumed without loss.

How far a replay came is read off the log itself: each partition holds a prefix of the data set's behaviours of that
partition, after the records that were there before. So a replay that was killed at any point goes on exactly.
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol

from model.datasets.json_lines import encode_behavior
from model.datasets.prepared import Dataset
from model.errors import RecloopError
from model.files import replace_file
from model.records import UserBehavior
from udfs.hashing import stable_hash

_BATCH = 1024
_SLICE_S = 0.005


class ReplayMismatchError(RecloopError):
    """The log holds another replay than the one that should go on."""


class ReplayTarget(Protocol):
    """A log that a replay alone appends to: files (`files_target`), or a topic (`topic_target`).

    A user's behaviours go into the partition `stable_hash(user_id) % number of partitions`. Whenever a process dies,
    each partition holds a prefix of what it was given.

    Attributes:
        name: what messages call it.
        notes: the folder for what replays note about it; another log has another.
    """

    name: str
    notes: Path

    def lengths(self) -> list[int]:
        """For each partition how many records were ever appended to it; asked before the first append."""

    def last_records(self) -> list[bytes]:
        """Of each partition the last one, as `encode_behavior` writes it; something else where it is no such record."""

    def append(self, behaviors: Sequence[UserBehavior]) -> None:
        """Appends in the order given; all are there on return."""


class Clock(Protocol):
    """Time, as a replay sees it."""

    def now(self) -> float:
        """Seconds since any fixed moment."""

    def sleep(self, seconds: float) -> None:
        """Waits."""


class WallClock:
    """The machine's own clock."""

    def now(self) -> float:
        """As `time.monotonic`."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """As `time.sleep`."""
        time.sleep(seconds)


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast behaviours are appended; with neither, as fast as the log takes them.

    Attributes:
        speed: event time runs so many times faster than the clock.
        rate: behaviours a second.
    """

    speed: float | None = None
    rate: float | None = None

    def due_s(self, number: int, behavior: UserBehavior, first_ms: int) -> float:
        """When the number-th behaviour (from 0) is due, in seconds from the start."""
        if self.rate is not None:
            return number / self.rate
        if self.speed is not None:
            return (behavior.timestamp - first_ms) / 1000 / self.speed
        return 0.0


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay did.

    Attributes:
        appended: behaviours appended now.
        before: behaviours that an earlier run of the same replay had appended.
        seconds: how long it took.
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
    clock: Clock = WallClock(),  # noqa: B008 - stateless
) -> Replayed:
    """Appends the data set's first `limit` behaviours to a log; goes on where an earlier run stopped.

    Args:
        dataset: a prepared data set.
        target: the log.
        pace: how fast.
        limit: how many of its behaviours; None takes all.
        on_progress: hears how many are in the log, those of earlier runs included.
        clock: time.

    Raises:
        ReplayMismatchError: the log was grown by something else since this replay began.
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
    """For each partition how many of the data set's behaviours are in it."""
    lengths = target.lengths()
    file = _notes(dataset, target)
    if not file.exists():
        replace_file(file, json.dumps({"fingerprint": dataset.info.fingerprint, "base": lengths}).encode())
    told = json.loads(file.read_text())
    there = [now - base for now, base in zip(lengths, told["base"], strict=False)]
    if (told["fingerprint"], len(told["base"])) != (dataset.info.fingerprint, len(lengths)) or min(there) < 0:
        raise _mismatch(dataset, target)
    return there


def _notes(dataset: Dataset, target: ReplayTarget) -> Path:
    return target.notes / f"replay-{dataset.info.name}.json"


def _mismatch(dataset: Dataset, target: ReplayTarget) -> ReplayMismatchError:
    told = f"{_notes(dataset, target)} tells of a replay that {target.name} does not hold"
    return ReplayMismatchError(f"{told}: remove it to append the data set once more")


def _skip(
    behaviors: Iterator[UserBehavior], there: list[int], ends: list[bytes], mismatch: ReplayMismatchError
) -> Iterator[UserBehavior]:
    """The behaviours that are not there yet, if the last one there in each partition is this data set's."""
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
    """Batches, each when its behaviours are due."""
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
