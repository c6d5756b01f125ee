"""Offsets of a topic without a record, and the reason: those of transactions are normal, others were removed.

A log of Kafka numbers everything it appends without a gap. A transaction's mark is a batch of its own, and the records
of an aborted one are there and not handed on: both are among the batches that a client fetches, so they are known by
their offsets. What is missing beyond them was a record, and compaction removed it.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from kafka.consumer.fetcher import Fetcher

_PartitionRecords: Any = Fetcher.PartitionRecords


class TransactionOffsets:
    """Offsets of transactions' marks and of aborted records, as far as they were fetched and not asked for yet."""

    def __init__(self) -> None:
        self._spans: dict[int, dict[int, int]] = {}

    def watch(self, consumer: Any) -> None:
        """Learn these offsets from all that the consumer (of kafka-python 3.0.12) fetches from now on."""
        add = self.add

        class Records(_PartitionRecords):
            """The records of one answer; its batches pass through `_Batches` before they are unpacked."""

            def __init__(self, fetch_offset: int, tp: Any, records: Any, **options: Any) -> None:
                super().__init__(fetch_offset, tp, _Batches(records, tp.partition, add), **options)

            def _is_batch_aborted(self, batch: Any) -> bool:
                aborted: bool = super()._is_batch_aborted(batch)
                if aborted:
                    add(self.topic_partition.partition, batch.base_offset, batch.last_offset)
                return aborted

        consumer._fetcher.PartitionRecords = Records

    def add(self, partition: int, first: int, last: int) -> None:
        """Take note of a batch that holds no record to be handed on."""
        self._spans.setdefault(partition, {})[first] = last

    def removed(self, partition: int, begin: int, end: int) -> tuple[int, int]:
        """Return how many of the offsets from `begin` to before `end` no transaction had, and the first of these.

        Ask in order: what lies before `begin` is forgotten.
        """
        spans = self._spans.setdefault(partition, {})
        for first in [first for first, last in spans.items() if last < begin]:
            del spans[first]
        missing = list(_between(sorted(spans.items()), begin, end))
        return sum(after - first for first, after in missing), missing[0][0] if missing else begin


class _Batches:
    """An answer's batches; a transaction's mark is taken note of as it is passed."""

    def __init__(self, records: Any, partition: int, add: Any) -> None:
        self._records = records
        self._partition = partition
        self._add = add

    def __getattr__(self, name: str) -> Any:
        return getattr(self._records, name)

    def next_batch(self) -> Any:
        """Return the next batch, and take note of it if it is a transaction's mark."""
        batch = self._records.next_batch()
        if batch is not None and batch.magic == 2 and batch.is_control_batch:
            self._add(self._partition, batch.base_offset, batch.last_offset)
        return batch


def _between(spans: Iterable[tuple[int, int]], begin: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield (first, after) of each part of the interval that the spans, in order, leave free."""
    for first, last in spans:
        if first >= end:
            break
        if first > begin:
            yield begin, first
        begin = max(begin, last + 1)
    if begin < end:
        yield begin, end
