"""Records of one log partition on their way from the thread that fetches them to the one that polls.

Bounded: the thread that fills it checks first whether it is full. Pure, and safe between two threads.
"""

from collections import deque
from collections.abc import Sequence
from threading import Lock

from udfs.log.parsing import LogRecord
from udfs.log.reader import Poll

_MAX_RECORDS = 8_192
MAX_BYTES = 8 << 20
"""A buffer is full at either; a fetch that began before may fill it beyond."""


class PartitionBuffer:
    """A queue of records, and the offset that follows them.

    Attributes:
        cursor: the reader's own bytes; they do not change.
        next_offset: offset of what is put next; beyond the last record's where the log holds offsets without records.
        taken: the offset that the poller asks for next.
    """

    def __init__(self, next_offset: int, cursor: bytes) -> None:
        self.cursor = cursor
        self.next_offset = self.taken = next_offset
        self._records: deque[LogRecord] = deque()
        self._bytes = 0
        self._lock = Lock()

    @property
    def is_full(self) -> bool:
        """Return whether more records have to wait."""
        return len(self._records) >= _MAX_RECORDS or self._bytes >= MAX_BYTES

    def put(self, records: Sequence[LogRecord], next_offset: int) -> None:
        """Append what was fetched, in offset order."""
        with self._lock:
            self._records.extend(records)
            self._bytes += sum(len(record.raw) for record in records)
            self.next_offset = next_offset

    def take(self, limit: int) -> Poll:
        """Take the oldest records, at most `limit`, without waiting."""
        with self._lock:
            records = [self._records.popleft() for _ in range(min(limit, len(self._records)))]
            self._bytes -= sum(len(record.raw) for record in records)
            more = bool(self._records)
            self.taken = self._records[0].offset if more else self.next_offset
        return Poll(records=records, next_offset=self.taken, cursor=self.cursor, more=more)
