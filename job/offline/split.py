"""The split of a data set by the hash of the user into parts that each fit into memory."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import msgspec

from model.actions import ActionTable
from model.datasets.prepared import Dataset
from udfs.hashing import stable_hash

_USERS_A_PART = 10_000
"""A user's profile takes some kilobytes, so a part takes some ten megabytes."""
FEWEST_PARTS, MOST_PARTS = 32, 512
"""Enough parts to share among processes, and not too many files open at once."""
_REPORT_EVERY = 100_000


class _Line(msgspec.Struct, gc=False):
    user_id: str
    action: str


def parts_of(dataset: Dataset) -> int:
    """Return the number of parts of a data set; it does not depend on the number of processes."""
    return min(MOST_PARTS, max(FEWEST_PARTS, dataset.info.users // _USERS_A_PART))


def behaviors_file(folder: Path, part: int) -> Path:
    """Return the file of a part's behaviours, oldest first."""
    return folder / f"behaviors-{part:04d}.jsonl"


def split(dataset: Dataset, folder: Path, actions: ActionTable, on_progress: Callable[[int], None]) -> int:
    """Write the behaviours of each part's users: user u is in part `stable_hash(u) % parts_of(dataset)`.

    Args:
        dataset: a prepared data set.
        folder: the folder of the parts.
        actions: the table of known actions.
        on_progress: called from time to time with the number of behaviours written.

    Returns:
        The number of behaviours with an unknown action.

    Raises:
        NotPreparedError: the set has not as many behaviours as it was made with.
    """
    parts, unknown = parts_of(dataset), 0
    decode = msgspec.json.Decoder(_Line).decode
    with ExitStack() as files:
        outs = [files.enter_context(behaviors_file(folder, part).open("wb")) for part in range(parts)]
        for number, line in enumerate(dataset.lines(), start=1):
            found = decode(line)
            outs[stable_hash(found.user_id) % parts].write(line)
            unknown += found.action not in actions
            if number % _REPORT_EVERY == 0:
                on_progress(number)
    return unknown
