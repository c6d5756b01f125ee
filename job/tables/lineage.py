"""Which rows count after the job fell back: those of the line of attempts that leads to the newest one.

The table `attempts` says where each attempt began to read each partition, and on which earlier one it builds. What an
attempt wrote beyond the place where the next of its line began was done again; what is on no such line, such as what
came before a deployment with --fresh, counts no more. Epochs that no attempt tells of are of earlier releases.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

import msgspec

from job.tables.errors import TablesError
from udfs.rows import AttemptRow

Until = tuple[int, int, int | None]
"""(log partition, epoch, the offset before which its rows count); None: all do."""
EVERYWHERE = -1
"""In place of a partition: an epoch of which nothing counts."""
UNTOLD = -1
"""In place of an epoch: those that no attempt tells of."""


@dataclass(frozen=True, slots=True)
class Lineage:
    """What counts, by partition and epoch.

    Attributes:
        root: the first epoch of the line; None where no attempt is told of.
        goes_on: whether the root builds on rows of epochs that no attempt tells of.
        untils: one for each partition and epoch that is told of.
    """

    root: int | None = None
    goes_on: bool = True
    untils: tuple[Until, ...] = field(default=())

    @property
    def derives(self) -> bool:
        """Whether rows of untold epochs count too: where they end is then derived from the rows themselves."""
        return self.root is None or self.goes_on


def lineage_of(attempts: Iterable[AttemptRow]) -> Lineage:
    """Follow the line of the newest attempt back to its root."""
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
        TablesError: one cannot be read.
    """
    rows: list[AttemptRow] = []
    for path in files:
        try:
            rows += map(_decode, path.read_bytes().splitlines())
        except (OSError, msgspec.DecodeError) as error:
            msg = f"{path} cannot be read ({error}): which rows count depends on it; restore it, or move it away"
            raise TablesError(msg) from error
    return lineage_of(rows)


_decode = msgspec.json.Decoder(AttemptRow).decode


def _epoch(row: AttemptRow) -> int:
    return row.epoch


def _parent(rows: list[AttemptRow]) -> int | None:
    """A partition without records may not have been touched for some attempts: the newest parent is the attempt's."""
    return max((row.parent_epoch for row in rows if row.parent_epoch is not None), default=None)


def _along(line: list[int], partition: int, told: Mapping[int, list[AttemptRow]]) -> list[Until]:
    """The line's epochs in one partition, and the untold ones before them."""
    until: int | None = None
    untils: list[Until] = []
    for epoch in line:
        untils.append((partition, epoch, until))
        for row in told[epoch]:
            if row.log_partition == partition:
                until = row.first_offset if until is None else min(until, row.first_offset)
    return [*untils, (partition, UNTOLD, until)]
