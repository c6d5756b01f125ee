"""The items that nobody may be shown: those of the settings, and those that the deployed job wrote by its tables."""

import time
from contextlib import suppress
from pathlib import Path

from job.tables.errors import TablesError
from job.tables.withdrawn import read_withdrawn
from model.records import ItemId

_READ_EVERY_S = 1.0


class WithdrawnItems:
    """The withdrawn items, read again once a second; a file that cannot be read leaves those known before."""

    def __init__(self, tables: Path, given: tuple[ItemId, ...]) -> None:
        self._tables = tables
        self._given = frozenset(given)
        self._items = self._given
        self._read_at = float("-inf")

    def __call__(self) -> frozenset[ItemId]:
        """Return the items."""
        now = time.monotonic()
        if now - self._read_at >= _READ_EVERY_S:
            self._read_at = now
            with suppress(TablesError):
                self._items = self._given.union(read_withdrawn(self._tables))
        return self._items
