"""Of offsets without a record, those of transactions are told from those that were removed."""

from hypothesis import given
from hypothesis import strategies as st

from udfs.log.kafka_gaps import TransactionOffsets

OFFSETS = st.lists(st.sampled_from(["record", "mark", "removed"]), max_size=40)


@given(OFFSETS, st.lists(st.integers(1, 5), min_size=1, max_size=40), st.booleans())
def test_just_the_removed_offsets_are_counted_however_the_log_is_cut(
    kinds: list[str], steps: list[int], again: bool
) -> None:
    offsets = TransactionOffsets()
    for _ in range(2 if again else 1):  # an answer that is thrown away is fetched again
        for offset, kind in enumerate(kinds):
            if kind == "mark":
                offsets.add(0, offset, offset)
    counted, begin = 0, 0
    for end in range(len(kinds) + 1):
        is_cut = end == len(kinds) or kinds[end] == "record" or end - begin >= steps[end % len(steps)]
        if is_cut and end > begin:
            removed, first = offsets.removed(0, begin, end)
            wanted = [n for n in range(begin, end) if kinds[n] == "removed"]
            if "record" in kinds[begin:end]:
                wanted += [n for n in range(begin, end) if kinds[n] == "record"]
            assert removed == len(wanted)
            assert first == min(wanted, default=begin)
            counted += removed
            begin = end
    assert counted >= kinds.count("removed")


def test_a_span_counts_as_far_as_it_reaches_into_the_gap() -> None:
    offsets = TransactionOffsets()
    offsets.add(3, 2, 9)
    assert offsets.removed(3, 0, 5) == (2, 0)
    assert offsets.removed(3, 5, 12) == (2, 10)
    assert offsets.removed(4, 0, 5) == (5, 0)
