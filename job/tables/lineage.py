"""The lineage of attempts, which decides which rows count after the job fell back to an older checkpoint.

Rows count if their attempt is on the line of parents of the newest attempt. The table `attempts` has the offset at
which each attempt began to read each partition, and its parent, the earlier attempt that it was restored from. Rows of
an attempt at or beyond the offset where the next attempt on the line began were written again by that one, and do not
count. Rows of attempts on no such line, such as those before a deployment with --fresh, do not count either. Epochs
without a row in `attempts` are of earlier releases.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

import msgspec

from job.tables.errors import TablesError
from udfs.rows import AttemptRow

Until = tuple[int, int, int | None]
"""(log partition, epoch, the offset before which its rows count); None if all its rows count."""
EVERYWHERE = -1
"""The value in place of a partition for an epoch of which no row counts."""
UNTOLD = -1
"""The value in place of an epoch for all epochs without a row in `attempts`."""


@dataclass(frozen=True, slots=True)
class Lineage:
    """The rows that count, by partition and epoch.

    Attributes:
        root: the first epoch of the line; None if `attempts` is empty.
        goes_on: whether the root continues from an epoch without a row in `attempts`.
        untils: one for each partition and each epoch with a row in `attempts`.
    """

    root: int | None = None
    goes_on: bool = True
    untils: tuple[Until, ...] = field(default=())

    @property
    def derives(self) -> bool:
        """True if rows of epochs without a row in `attempts` count too; their ends are then derived from the rows."""
        return self.root is None or self.goes_on


def lineage_of(attempts: Iterable[AttemptRow]) -> Lineage:
    """Compute the lineage: follow the parents of the newest attempt back to the root.

    Each attempt's parent is earlier.
    """
    told = {epoch: list(rows) for epoch, rows in groupby(sorted(attempts, key=_epoch), key=_epoch)}
    if not told:
        return Lineage()
    line = [max(told, key=lambda epoch: (max(row.generation for row in told[epoch]), epoch))]
    while (parent := _parent(told[line[-1]])) in told:
        line.append(parent)
    untils: list[Until] = []
    for partition in {row.log_partition for rows in told.values() for row in rows}:
        untils += _along(line, partition, told)
    for epoch in told.keys() - set(line):
        untils.append((EVERYWHERE, epoch, 0))
        untils += [(row.log_partition, epoch, 0) for row in told[epoch]]
    return Lineage(line[-1], parent is not None, tuple(sorted(set(untils))))


def read_lineage(files: Iterable[Path]) -> Lineage:
    """Read the committed files of the table `attempts`.

    Raises:
        TablesError: one cannot be read, or has a row that no attempt wrote.
    """
    rows: list[AttemptRow] = []
    for path in files:
        try:
            rows += map(_attempt, path.read_bytes().splitlines())
        except (OSError, msgspec.DecodeError, UnicodeError, RecursionError) as error:
            msg = f"{path} cannot be read ({error}): which rows count depends on it; restore it, or move it away"
            raise TablesError(msg) from error
    return lineage_of(rows)


_decode = msgspec.json.Decoder(AttemptRow).decode


def _attempt(line: bytes) -> AttemptRow:
    """Decode a row whose parent is earlier, as `udfs.attempt.attempt_epoch` makes it; so parents form no circle."""
    row = _decode(line)
    if row.parent_epoch is not None and row.parent_epoch >= row.epoch:
        msg = f"parent_epoch {row.parent_epoch} is not before epoch {row.epoch}"
        raise msgspec.ValidationError(msg)
    return row


def _epoch(row: AttemptRow) -> int:
    return row.epoch


def _parent(rows: list[AttemptRow]) -> int | None:
    """Return the newest parent of an attempt's rows, or None.

    A partition without records may have the parent of an older attempt in its row.
    """
    return max((row.parent_epoch for row in rows if row.parent_epoch is not None), default=None)


def _along(line: list[int], partition: int, told: Mapping[int, list[AttemptRow]]) -> list[Until]:
    """Return the limits of the line's epochs in a partition, and of the epochs before them without an attempt."""
    until: int | None = None
    untils: list[Until] = []
    for epoch in line:
        untils.append((partition, epoch, until))
        for row in told[epoch]:
            if row.log_partition == partition:
                until = row.first_offset if until is None else min(until, row.first_offset)
    return [*untils, (partition, UNTOLD, until)]
