"""The lineage of attempts, which decides which rows count after the job fell back to an older checkpoint.

Rows count if their attempt is on the line of parents of the newest attempt. The table `attempts` has the offset at
which each attempt began to read each partition, and its parent, the earlier attempt that it was restored from. Rows of
an attempt at or beyond the offset where the next attempt on the line began were written again by that one, and do not
count. Rows of attempts on no such line, such as those before a deployment with --fresh, do not count either. Epochs
without a row in `attempts` are of earlier releases.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import msgspec

from job.tables.errors import TablesError
from udfs.rows import AttemptRow

EVERYWHERE = -1
"""The value in place of a partition for an epoch of which no row counts."""
UNRECORDED = -1
"""The value in place of an epoch for all epochs without a row in `attempts`."""


class EpochEnd(NamedTuple):
    """The end of an epoch's rows in a partition of the log: those before `end_offset` count, and all if it is None."""

    log_partition: int
    epoch: int
    end_offset: int | None


@dataclass(frozen=True, slots=True)
class Lineage:
    """The rows that count, by partition and epoch.

    Attributes:
        root: the first epoch of the line; None if `attempts` is empty.
        goes_on: whether the root continues from an epoch without a row in `attempts`.
        epoch_ends: one for each partition and each epoch with a row in `attempts`.
    """

    root: int | None = None
    goes_on: bool = True
    epoch_ends: tuple[EpochEnd, ...] = ()

    @property
    def derives(self) -> bool:
        """True if rows of epochs without a row in `attempts` count too; their ends are then derived from the rows."""
        return self.root is None or self.goes_on


def _lineage_of(attempts: Iterable[AttemptRow]) -> Lineage:
    """Compute the lineage: follow the parents of the newest attempt back to the root.

    Each attempt's parent is earlier.
    """
    rows_of = {epoch: list(rows) for epoch, rows in groupby(sorted(attempts, key=_epoch), key=_epoch)}
    if not rows_of:
        return Lineage()
    # The newest parent in an attempt's rows: that of a partition without records may be an older attempt's.
    parents = {
        epoch: max((row.parent_epoch for row in rows if row.parent_epoch is not None), default=None)
        for epoch, rows in rows_of.items()
    }
    line = [max(rows_of, key=lambda epoch: (max(row.generation for row in rows_of[epoch]), epoch))]
    while (parent := parents[line[-1]]) in parents:
        line.append(parent)
    ends: set[EpochEnd] = set()
    for partition in {row.log_partition for rows in rows_of.values() for row in rows}:
        ends |= _ends_on_line(line, partition, rows_of)
    for epoch in rows_of.keys() - set(line):
        ends.add(EpochEnd(log_partition=EVERYWHERE, epoch=epoch, end_offset=0))
        ends |= {EpochEnd(log_partition=row.log_partition, epoch=epoch, end_offset=0) for row in rows_of[epoch]}
    return Lineage(root=line[-1], goes_on=parent is not None, epoch_ends=tuple(sorted(ends)))


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
    return _lineage_of(rows)


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


def _ends_on_line(line: list[int], partition: int, rows_of: Mapping[int, list[AttemptRow]]) -> set[EpochEnd]:
    """Return the ends of the line's epochs in a partition, and that of all epochs before them without an attempt.

    An epoch ends where the next one on the line, or any after that, began.
    """
    end_offset: int | None = None
    ends = set()
    for epoch in line:
        ends.add(EpochEnd(log_partition=partition, epoch=epoch, end_offset=end_offset))
        for row in rows_of[epoch]:
            if row.log_partition == partition:
                end_offset = row.first_offset if end_offset is None else min(end_offset, row.first_offset)
    ends.add(EpochEnd(log_partition=partition, epoch=UNRECORDED, end_offset=end_offset))
    return ends
