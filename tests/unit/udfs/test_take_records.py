"""What Flink's own connector hands on as text is read back whole, whatever times and bytes producers gave."""

from hypothesis import given
from hypothesis import strategies as st

from model.event_time import LATEST_MS
from udfs.log.kafka_records import log_record
from udfs.log.take_records import FIELD_END, NO_VALUE, RECORD_END, read_records

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
