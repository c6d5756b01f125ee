"""Splits a data set by the hash of the user into parts, each small enough to be held in memory."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import msgspec

from model.actions import ActionTable
from model.datasets.prepared import Dataset
from udfs.hashing import stable_hash

USERS_A_PART = 10_000
"""A user's profile takes some kilobytes, so that a part takes some ten megabytes."""
FEWEST_PARTS, MOST_PARTS = 32, 512
"""So that processes have something to share, and not too many files are open at once."""
_TOLD_EVERY = 100_000


class _Line(msgspec.Struct, gc=False):
    user_id: str
    action: str


def parts_of(dataset: Dataset) -> int:
    """How many parts a data set is split into, whoever scores them."""
    return min(MOST_PARTS, max(FEWEST_PARTS, dataset.info.users // USERS_A_PART))


def behaviors_file(folder: Path, part: int) -> Path:
    """Where a part's behaviours are, oldest first."""
    return folder / f"behaviors-{part:04d}.jsonl"


def split(dataset: Dataset, folder: Path, actions: ActionTable, told: Callable[[int], None]) -> int:
    """Writes the behaviours of each part's users: user u is in part `stable_hash(u) % parts_of(dataset)`.

    Args:
        dataset: prepared.
        folder: where.
        actions: that mean something.
        told: now and then, how many behaviours are written.

    Returns:
        How many behaviours have another action.
    """
    parts, unknown = parts_of(dataset), 0
    decode = msgspec.json.Decoder(_Line).decode
    with ExitStack() as files, dataset.behaviors_path.open("rb") as lines:
        outs = [files.enter_context(behaviors_file(folder, part).open("wb")) for part in range(parts)]
        for number, line in enumerate(lines, start=1):
            found = decode(line)
            outs[stable_hash(found.user_id) % parts].write(line)
            unknown += found.action not in actions
            if number % _TOLD_EVERY == 0:
                told(number)
    return unknown
