"""What Flink's own connector hands on is read back whole, and a partition is begun though it hands on nothing."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.event_time import LATEST_MS
from tests.unit.udfs.default_rules import PARSING
from udfs.attempt import DeploymentId
from udfs.buckets import bucket_keys, partition_keys
from udfs.elements import Begun, decode_polled
from udfs.log import sort_records
from udfs.log.kafka_records import log_record
from udfs.log.take_records import FIELD_END, NO_VALUE, RECORD_END, TakeRecords, read_records

times = st.none() | st.integers(-(2**63), 2**63 - 1) | st.sampled_from([-1, 0, LATEST_MS, LATEST_MS + 1, 2**63 - 1])
values = st.none() | st.binary(max_size=40) | st.just(bytes(range(256)))


def joined(records: list[tuple[int | None, bytes | None]]) -> bytes:
    """As the SQL of job/topology/native_kafka.py joins them."""
    fields = (
        (str(offset), "" if time is None else str(time), NO_VALUE if value is None else value.decode("latin-1"))
        for offset, (time, value) in enumerate(records)
    )
    return RECORD_END.join(map(FIELD_END.join, fields)).encode()


@given(st.lists(st.tuples(times, values), min_size=1, max_size=5))
def test_records_of_any_time_and_bytes_are_read_back(records: list[tuple[int | None, bytes | None]]) -> None:
    expected = [log_record(4, offset, time, value) for offset, (time, value) in enumerate(records)]
    assert read_records(joined(records), 4) == expected
    for (time, _), read in zip(records, expected, strict=True):
        assert read.appended_at == (time if time is not None and 0 <= time <= LATEST_MS else None)


BUCKETS = 8
KEYS = partition_keys(3, BUCKETS)


@dataclass
class Checkpoint:
    """What outlives an attempt: state by key, and the timers that wait."""

    stored: dict[int, bytes] = field(default_factory=dict)
    timers: set[tuple[int, int]] = field(default_factory=set)


class Attempt:
    """poll-log from one restore to the next, under Flink's rules for timers: of equal ones there is one."""

    def __init__(self, restored: Checkpoint, now_ms: int) -> None:
        self.stored, self.timers = dict(restored.stored), set(restored.timers)
        self.now_ms, self.key = now_ms, 0
        self.operator = TakeRecords(PARSING, BUCKETS, DeploymentId(number=1, generation=0))
        self.operator.open(SimpleNamespace(state=self, get_metrics_group=_Metrics))

    def value(self) -> bytes | None:
        return self.stored.get(self.key)

    def update(self, state: bytes) -> None:
        self.stored[self.key] = state

    def get_current_key(self) -> int:
        return self.key

    def timer_service(self) -> "Attempt":
        return self

    def current_processing_time(self) -> int:
        return self.now_ms

    def register_processing_time_timer(self, at_ms: int) -> None:
        self.timers.add((at_ms, self.key))

    def take(self, partition: int, offset: int) -> list[Begun]:
        self.key = KEYS[partition]
        element = partition.to_bytes(4, "little") + f"{offset}{FIELD_END}{FIELD_END}{NO_VALUE}".encode()
        return begun_in(self.operator.process_element(element, self))

    def wait(self, ms: int) -> list[Begun]:
        found = []
        self.now_ms += ms
        while due := sorted(each for each in self.timers if each[0] <= self.now_ms):
            self.timers.remove(due[0])
            at_ms, self.key = due[0]
            found += begun_in(self.operator.on_timer(at_ms, self))
        return found


class _Metrics:
    def add_group(self, *_: str) -> "_Metrics":
        return self

    def counter(self, _: str) -> "_Metrics":
        return self

    def inc(self, _: int = 1) -> None:
        """Nobody reads it here."""


def begun_in(out: Iterable[Any]) -> list[Begun]:
    """What was announced, once per bucket; rows to the side and behaviours are passed over."""
    sent = [(row[0], decode_polled(row[1]).begun) for row in out if not isinstance(row, tuple)]
    begun = [each for _, each in sent if each is not None]
    assert sorted(key for key, each in sent if each) == sorted(bucket_keys(BUCKETS) * (len(begun) // BUCKETS))
    return begun[::BUCKETS]


@pytest.fixture(autouse=True, scope="module")
def _states_in_memory() -> Iterator[None]:
    """Flink's own are there in its thread mode alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sort_records, "bytes_value_state", lambda context, _name: context.state)
        patch.setattr(sort_records, "restored_checkpoint", lambda _context: None)
        patch.setattr(sort_records, "counters", lambda _context, *metrics: [_Metrics() for _ in metrics])
        yield


steps = st.lists(st.tuples(st.sampled_from([0, 1, 2, None]), st.integers(0, 3_000)), max_size=8)


@given(steps, st.integers(0, 10**6), steps)
def test_a_restored_partition_is_begun_within_a_second_though_no_record_comes(
    before: list[tuple[int | None, int]], down_ms: int, after: list[tuple[int | None, int]]
) -> None:
    first = Attempt(Checkpoint(), now_ms=10**6 + 17)
    offsets = run(first, before, [0, 0, 0])[1]
    read = {partition for partition, _ in before if partition is not None}
    second = Attempt(Checkpoint(first.stored, first.timers), first.now_ms + down_ms)
    announced = second.wait(1_000)
    assert announced == sorted((Begun(partition, offsets[partition] - 1) for partition in read), key=order)
    later, _ = run(second, after, offsets)
    assert {each.log_partition for each in later} == {
        partition for partition, _ in after if partition is not None
    } - read
    assert len(second.timers) == len({key for _, key in second.timers}), "one timer per partition, whatever comes"


def order(begun: Begun) -> int:
    """As timers of one time come: by the partition's key."""
    return KEYS[begun.log_partition]


def run(attempt: Attempt, steps: list[tuple[int | None, int]], offsets: list[int]) -> tuple[list[Begun], list[int]]:
    """Takes a record of each named partition, waiting in between."""
    announced, offsets = [], list(offsets)
    for partition, ms in steps:
        if partition is not None:
            announced += attempt.take(partition, offsets[partition])
            offsets[partition] += 1
        announced += attempt.wait(ms)
    return announced, offsets
