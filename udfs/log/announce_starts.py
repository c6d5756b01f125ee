"""The announcement, made once to every user bucket, that a partition of the log is read from now on.

An idle job sends nothing else, and what a deployment changes for everybody has to reach users who do nothing.
"""

from collections.abc import Iterator

from pyflink.common import Row

from udfs.buckets import bucket_keys
from udfs.elements import Begun, PolledElement, encode
from udfs.log.position import LogPosition


class AnnounceStarts:
    """The announced starts of one subtask of poll-log since it was opened."""

    def __init__(self, max_parallelism: int) -> None:
        self._keys = bucket_keys(max_parallelism)
        self._announced: set[int] = set()

    def announce(self, position: LogPosition) -> Iterator[Row]:
        """Yield an element per bucket at the first call for a partition; then nothing."""
        if position.partition in self._announced:
            return
        self._announced.add(position.partition)
        begun = Begun(log_partition=position.partition, log_offset=position.next_offset - 1)
        element = encode(PolledElement(epoch=position.epoch, behaviors=[], begun=begun))
        for key in self._keys:
            yield Row(key, element)
