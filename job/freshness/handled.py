"""The number of records that the job is done with, a moment after it is: by the rows that its sinks have written.

Flink's sink writes to hidden files and gives them their names with the next checkpoint. What has been written may be
counted at once; a restart of the job would count rows twice, so it must not happen meanwhile.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path

from job.tables.files import hour_folders

_SIGNS = {
    "recommendation_lists": b"\n",
    "dead_letters": b"\n",
    "user_behavior": b'"outcome":"duplicate"',
}
"""Table -> what is there once in a row of each record that the job is done with; no text of a row has a bare quote."""


@dataclass(slots=True)
class _Reading:
    """A file, read so far.

    Attributes:
        size: bytes that were read.
        tail: their end, which a sign may have begun in.
    """

    size: int = 0
    tail: bytes = b""


@dataclass(slots=True)
class Handled:
    """A counter of the records that were made into a list, a duplicate or a dead letter.

    Attributes:
        tables: the folder of the tables.
    """

    tables: Path
    _read: dict[int, _Reading] = field(default_factory=dict)
    _count: int = 0

    def count(self) -> int:
        """Return the number of records; only what was written since the last call is read."""
        for table, sign in _SIGNS.items():
            for folder in hour_folders(self.tables, table):
                with os.scandir(folder) as entries:
                    for entry in entries:
                        self._read_on(entry, sign)
        return self._count

    def _read_on(self, entry: "os.DirEntry[str]", sign: bytes) -> None:
        reading = self._read.setdefault(entry.inode(), _Reading())
        try:
            size = os.stat(entry.path).st_size  # noqa: PTH116 - an entry's own would be of the first call
            if size <= reading.size:
                return
            with Path(entry.path).open("rb") as file:
                file.seek(reading.size)
                new = file.read()
        except FileNotFoundError:  # it has its final name by now, and is read under that at the next call
            return
        text = reading.tail + new
        self._count += text.count(sign)
        reading.size += len(new)
        reading.tail = text[max(0, len(text) - len(sign) + 1) :]
