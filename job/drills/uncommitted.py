"""Rows that were written but not committed: the work of an attempt since its last checkpoint.

Flink's FileSink writes to hidden files and renames them once their checkpoint is complete. The hidden files of an
attempt that was killed remain, so they prove which behaviours it had processed and the next attempt processed again.
Metrics cannot prove it: they are a second old, and the restored job has read on before they are first seen.
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from job.tables.files import hour_folders

_HIDDEN = ".part-*"


class WrittenRow(msgspec.Struct, frozen=True):
    """The columns that are read of a hidden row of user_behavior; moments and epochs in ms."""

    log_partition: int
    log_offset: int
    epoch: int
    written_at: int


_decode = msgspec.json.Decoder(WrittenRow).decode


def uncommitted_behaviors(tables: Path) -> Iterator[WrittenRow]:
    """Yield the hidden rows of user_behavior, without half-written ones."""
    for folder in hour_folders(tables, "user_behavior"):
        for file in folder.glob(_HIDDEN):
            yield from _rows(file)


def _rows(file: Path) -> Iterator[WrittenRow]:
    try:
        lines = file.read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:  # committed meanwhile
        return
    for line in lines:
        yield _decode(line)
