"""The log of a drill: synthetic behaviours with everything in it that a recovery could get wrong.

Repeated events, records that are no behaviour, returns of bought items and clicks on disliked items are mixed in, and
the outcome of each of these is known beforehand. Equal scales give equal bytes. The log has a segment for each fault of
a run. Each record has a time of appending, for without one the first event time far ahead makes all later ones late.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from random import Random

from job.explain.same_lists import Offset
from job.replay.log_writer import PartitionWriter, create_log
from model.bundles.bundle import Bundle
from model.datasets.generate import Synthetic, generate
from model.datasets.json_lines import BEHAVIOR, encode_behavior
from model.datasets.prepared import Dataset
from model.records import EpochMs, UserBehavior
from udfs.hashing import stable_hash
from udfs.log.parsing import Reason

_DAY_MS = 86_400_000
_DAYS = 5.0
"""Below the lateness that a job allows, so that no retry is late."""
_REPEATED = 0.02
_BROKEN = 0.02
_RECONSIDERED = 0.6
_OWED_NOW = 0.3
_CHANGED = {"buy": 0.04, "dislike": 0.05, "impression": 0.05}
DUPLICATE = "duplicate"
_ANSWERS = {"buy": "return", "dislike": "click"}


_Line = tuple[bytes, str | None]
"""A record, and its known outcome: "duplicate", the reason of a dead letter, or None for an applied behaviour."""


@dataclass(frozen=True, slots=True)
class Scale:
    """The sizes of a drill.

    Attributes:
        users: users in the synthetic log.
        items: items in the synthetic log.
        behaviors: behaviours that are drawn for each segment; the records mixed in are additional.
        partitions: partitions of the log.
        parallelism: subtasks of each operator, and TaskManagers of one slot.
        rate: records appended a second in runs with faults.
        seed: the seed of everything random.
    """

    users: int = 200
    items: int = 400
    behaviors: int = 8_000
    partitions: int = 4
    parallelism: int = 2
    rate: float = 400.0
    seed: int = 7


SMOKE = Scale()
CHAOS = Scale(rate=120.0)
"""Slower, so that the log grows until the last fault of a combination."""


@dataclass(frozen=True, slots=True)
class DrillLog:
    """A finished log, and the truth about it.

    Attributes:
        folder: the log.
        ends: for each segment the end offset of each partition.
        planted: the outcome of each record that is not to be applied.
        flooded: the number of the segment in which half of the records of a third are no behaviours; None without one.
    """

    folder: Path
    ends: tuple[tuple[int, ...], ...]
    planted: Mapping[Offset, str]
    flooded: int | None = None

    @property
    def records(self) -> int:
        """The number of all records."""
        return sum(self.ends[-1])

    def start(self, segment: int) -> tuple[int, ...]:
        """Return the offset of each partition at which a segment begins."""
        return self.ends[segment - 1] if segment else (0,) * len(self.ends[0])


def make_dataset(scale: Scale, folder: Path, segments: int = 1) -> Dataset:
    """Generate the behaviours that log and bundle are made from."""
    shape = Synthetic(scale.users, scale.items, scale.behaviors * segments, days=_DAYS, seed=scale.seed)
    return generate(shape, folder, "drill")


def write_log(dataset: Dataset, scale: Scale, folder: Path, segments: int = 1, flooded: int | None = None) -> DrillLog:
    """Write the log, and return what is known of it."""
    create_log(folder, scale.partitions)
    lines: list[list[_Line]] = [[] for _ in range(scale.partitions)]
    for user_id, line, outcome in mixed(dataset.behaviors(), Random(scale.seed)):
        lines[stable_hash(user_id) % scale.partitions].append((line, outcome))
    cut = [_segments(its_lines, segments, flooded) for its_lines in lines]
    planted: dict[Offset, str] = {}
    for partition, parts in enumerate(cut):
        whole = [each for part in parts for each in part]
        planted |= {(partition, offset): outcome for offset, (_, outcome) in enumerate(whole) if outcome}
        writer = PartitionWriter(folder, partition)
        writer.append(line for line, _ in whole)
        writer.close()
    ends = tuple(tuple(sum(map(len, parts[: segment + 1])) for parts in cut) for segment in range(segments))
    return DrillLog(folder, ends, planted, flooded)


def _segments(lines: list[_Line], count: int, flooded: int | None) -> list[list[_Line]]:
    """Return a partition's lines in even parts, one of them flooded."""
    places = [round(len(lines) * number / count) for number in range(count + 1)]
    parts = [lines[start:end] for start, end in pairwise(places)]
    return [_flooded(part) if number == flooded else part for number, part in enumerate(parts)]


def _flooded(lines: list[_Line]) -> list[_Line]:
    """Return the lines with a broken record after each of the middle third."""
    third = len(lines) // 3
    behaviors = [(number, line) for number, (line, outcome) in enumerate(lines) if not outcome]
    poison = {
        number: _broken(BEHAVIOR.decode(line), number) for number, line in behaviors if third <= number < 2 * third
    }
    return [each for number, line in enumerate(lines) for each in (line, poison.get(number)) if each]


def train_bundle(dataset: Dataset, folder: Path) -> Bundle:
    """Train a small SASRec for one epoch: its quality matters less than that its scores can be reproduced."""
    # Imported here: torch takes seconds.
    from model.fit import FitConfig, fit
    from model.recommenders.kinds import Size
    from model.training.train import TrainConfig

    size = Size(history_length=20, dim=32, layers=1)
    return fit(dataset, folder, FitConfig(size=size, settings=TrainConfig(epochs=1)), datetime.now(UTC)).bundle


def mixed(behaviors: Iterator[UserBehavior], draw: Random) -> Iterator[tuple[str, bytes, str | None]]:
    """Yield (user, line, known outcome).

    They are the behaviours in order, some changed, mixed with repeats, broken records and reversals.
    """
    owed: dict[str, list[tuple[UserBehavior, str | None]]] = defaultdict(list)
    for number, plain in enumerate(behaviors):
        behavior = _changed(plain, number, draw)
        user = behavior.user_id
        yield user, _encode(behavior), None
        if behavior.event_id is not None and draw.random() < 2 * _REPEATED:
            owed[user].append((behavior, DUPLICATE))
        if behavior.action in _ANSWERS and draw.random() < _RECONSIDERED:
            owed[user].append((replace(behavior, action=_ANSWERS[behavior.action], event_id=None), None))
        if draw.random() < _BROKEN:
            yield user, *_broken(behavior, number)
        if owed[user] and draw.random() < _OWED_NOW:
            again, outcome = owed[user].pop(0)
            yield user, _encode(again), outcome


def _changed(behavior: UserBehavior, number: int, draw: Random) -> UserBehavior:
    """Give every second behaviour an event id, so that it can be repeated, and add buys, dislikes and impressions."""
    named = replace(behavior, event_id=f"event-{number}") if number % 2 else behavior
    roll = draw.random()
    for action, share in _CHANGED.items():
        if roll < share:
            return replace(named, action=action)
        roll -= share
    return named


def _encode(behavior: UserBehavior, appended_at: EpochMs | None = None) -> bytes:
    """Return a record that was appended when it happened, or at another time."""
    stamp = behavior.timestamp if appended_at is None else appended_at
    return encode_behavior(behavior)[:-1] + b',"appended_at":%d}' % stamp


def _broken(behavior: UserBehavior, number: int) -> tuple[bytes, str]:
    """Return a record that becomes a dead letter, and the reason, which follows from `number`."""
    line, appended_at = _encode(behavior), behavior.timestamp
    kinds = (
        (line[:-1], Reason.NOT_JSON),
        (b"\xff\xfe\x00 no text", Reason.NOT_JSON),
        (line.replace(b'"item_id"', b'"item"'), Reason.MISSING_FIELD),
        (line.replace(b'"timestamp":', b'"timestamp":"soon","at":'), Reason.MISTYPED_FIELD),
        (_encode(replace(behavior, action="gaze")), Reason.UNKNOWN_ACTION),
        (_encode(replace(behavior, item_id="")), Reason.EMPTY_ID),
        (_encode(replace(behavior, user_id="u" * 300)), Reason.LONG_ID),
        (
            _encode(replace(behavior, timestamp=appended_at + 20_000 * _DAY_MS), appended_at),
            Reason.IMPOSSIBLE_TIME,
        ),
        (_encode(replace(behavior, timestamp=appended_at - 20 * _DAY_MS), appended_at), Reason.LATE),
    )
    return kinds[number % len(kinds)]
