"""The log of a drill: synthetic behaviours with everything in it that a recovery could get wrong.

Repeated events, records that are no behaviour, returns of bought items and clicks on disliked items are mixed in. Equal
scales give equal bytes.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from job.replay.log_writer import PartitionWriter, create_log
from model.bundles.bundle import Bundle
from model.datasets.generate import Synthetic, generate
from model.datasets.json_lines import encode_behavior
from model.datasets.prepared import Dataset
from model.records import UserBehavior
from udfs.hashing import stable_hash

_DAY_MS = 86_400_000
_REPEATED = 0.02
_BROKEN = 0.02
_RECONSIDERED = 0.6
_OWED_NOW = 0.3
_CHANGED = {"buy": 0.04, "dislike": 0.05, "impression": 0.05}
_ANSWERS = {"buy": "return", "dislike": "click"}


@dataclass(frozen=True, slots=True)
class Scale:
    """The sizes of a drill.

    Attributes:
        users: users in the synthetic log.
        items: items in the synthetic log.
        behaviors: behaviours that are drawn; the records mixed in are additional.
        partitions: partitions of the log.
        parallelism: subtasks of each operator, and TaskManagers of one slot.
        rate: records appended a second in runs with a fault.
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


def make_dataset(scale: Scale, folder: Path) -> Dataset:
    """Generate the behaviours that log and bundle are made from."""
    shape = Synthetic(scale.users, scale.items, scale.behaviors, days=10.0, seed=scale.seed)
    return generate(shape, folder, "drill")


def write_log(dataset: Dataset, scale: Scale, folder: Path) -> int:
    """Write the log, and return the number of its records."""
    create_log(folder, scale.partitions)
    lines: list[list[bytes]] = [[] for _ in range(scale.partitions)]
    for user_id, line in mixed(dataset.behaviors(), Random(scale.seed)):
        lines[stable_hash(user_id) % scale.partitions].append(line)
    for partition, its_lines in enumerate(lines):
        writer = PartitionWriter(folder, partition)
        writer.append(its_lines)
        writer.close()
    return sum(map(len, lines))


def train_bundle(dataset: Dataset, folder: Path) -> Bundle:
    """Train a small SASRec for one epoch: its quality matters less than that its scores can be reproduced."""
    # Imported here: torch takes seconds.
    from model.fit import FitConfig, fit
    from model.recommenders.kinds import Size
    from model.training.train import TrainConfig

    size = Size(history_length=20, dim=32, layers=1)
    return fit(dataset, folder, FitConfig(size=size, settings=TrainConfig(epochs=1)), datetime.now(UTC)).bundle


def mixed(behaviors: Iterator[UserBehavior], draw: Random) -> Iterator[tuple[str, bytes]]:
    """Yield (user, line): the behaviours in order, some changed, mixed with repeats, broken records and reversals."""
    owed: dict[str, list[UserBehavior]] = defaultdict(list)
    for number, plain in enumerate(behaviors):
        behavior = _changed(plain, number, draw)
        user = behavior.user_id
        yield user, encode_behavior(behavior)
        if behavior.event_id is not None and draw.random() < 2 * _REPEATED:
            owed[user].append(behavior)
        if behavior.action in _ANSWERS and draw.random() < _RECONSIDERED:
            owed[user].append(replace(behavior, action=_ANSWERS[behavior.action], event_id=None))
        if draw.random() < _BROKEN:
            yield user, _broken(behavior, number)
        if owed[user] and draw.random() < _OWED_NOW:
            yield user, encode_behavior(owed[user].pop(0))


def _changed(behavior: UserBehavior, number: int, draw: Random) -> UserBehavior:
    """Give every second behaviour an event id, so that it can be repeated, and add buys, dislikes and impressions."""
    named = replace(behavior, event_id=f"event-{number}") if number % 2 else behavior
    roll = draw.random()
    for action, share in _CHANGED.items():
        if roll < share:
            return replace(named, action=action)
        roll -= share
    return named


def _broken(behavior: UserBehavior, number: int) -> bytes:
    """Return a record that becomes a dead letter; its kind of defect follows from `number`."""
    line = encode_behavior(behavior)
    kinds = (
        line[:-1],
        b"\xff\xfe\x00 no text",
        line.replace(b'"item_id"', b'"item"'),
        line.replace(b'"timestamp":', b'"timestamp":"soon","at":'),
        encode_behavior(replace(behavior, action="gaze")),
        encode_behavior(replace(behavior, item_id="")),
        encode_behavior(replace(behavior, user_id="u" * 300)),
        encode_behavior(replace(behavior, timestamp=behavior.timestamp + 20_000 * _DAY_MS)),
        encode_behavior(replace(behavior, timestamp=behavior.timestamp - 20 * _DAY_MS)),
    )
    return kinds[number % len(kinds)]
