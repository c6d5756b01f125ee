"""What a published record holds, and which of many counts."""

from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from udfs.hashing import stable_hash
from udfs.log.log_rows import dead_letter_row
from udfs.log.parsing import MAX_RAW_BYTES, DeadLetter, LogRecord, Reason
from udfs.publishing.publication import Headers, dead_letter_record, list_record, newest_letters, newest_lists
from udfs.rows import to_lines

Made = tuple[str, int, int]


def shuffled_too(made: list[Made]) -> st.SearchStrategy[tuple[list[Made], list[Made]]]:
    return st.tuples(st.just(made), st.permutations(made))


def published(user: str, epoch: int, version: int, item: str = "i") -> bytes:
    return b'{"user_id":"%b","epoch":%d,"list_version":%d,"items":["%b"]}' % (
        user.encode(),
        epoch,
        version,
        item.encode(),
    )


def test_a_list_is_keyed_by_its_user_and_whole() -> None:
    row = '{"user_id":"Zoë","items":["1"],"list_version":3,"epoch":9,"reason":"any"}'
    record = list_record(row)
    assert record.key == "Zoë".encode()
    assert record.value == row.encode()
    assert record.place == stable_hash("Zoë")


def test_a_dead_letter_has_its_own_bytes_and_what_is_wrong_in_headers() -> None:
    raw = b"\xff" * (MAX_RAW_BYTES + 1)
    letter = DeadLetter(LogRecord(2, 17, raw, len(raw)), Reason.NOT_JSON, "at byte 0")
    record = dead_letter_record(to_lines([dead_letter_row(letter, now_ms=1, epoch=9)]))
    assert (record.key, record.value) == (None, raw[:MAX_RAW_BYTES])
    assert dict(record.headers) == {
        "reason": b"not_json",
        "detail": b"at byte 0",
        "log_partition": b"2",
        "log_offset": b"17",
        "epoch": b"9",
        "truncated": b"true",
    }


def test_a_higher_epoch_replaces_an_equal_version_and_a_lower_one_is_dropped() -> None:
    made_first, made_again = published("u", 1, 5, "old"), published("u", 2, 5, "new")
    late = published("u", 1, 6, "zombie's")
    for order in permutations((made_first, made_again, late)):
        assert newest_lists(order)["u"].items == ["new"]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 3), st.integers(1, 9))).flatmap(shuffled_too))
def test_the_order_of_records_changes_nothing(made_and_shuffled: tuple[list[Made], list[Made]]) -> None:
    made, shuffled = (newest_lists(published(*each) for each in records) for records in made_and_shuffled)
    assert made == shuffled
    for user, epoch, version in made_and_shuffled[0]:
        assert made[user].order >= (epoch, version)


OUTCOMES = st.lists(st.tuples(st.integers(0, 2), st.integers(1, 9), st.booleans()), unique_by=lambda each: each[:2])


@given(OUTCOMES.flatmap(lambda outcomes: st.tuples(st.just(outcomes), st.permutations(outcomes))))
def test_of_a_record_that_was_dead_and_applied_the_later_attempt_counts(
    outcomes_and_shuffled: tuple[list[tuple[int, int, bool]], list[tuple[int, int, bool]]],
) -> None:
    outcomes, shuffled = outcomes_and_shuffled
    letters = [letter_headers(offset, epoch) for offset, epoch, is_dead in shuffled if is_dead]
    applied = {(0, offset): epoch for offset, epoch, is_dead in sorted(outcomes) if not is_dead}
    final = {offset: is_dead for offset, _, is_dead in sorted(outcomes)}
    assert set(newest_letters(letters, applied)) == {(0, offset) for offset, is_dead in final.items() if is_dead}


def letter_headers(offset: int, epoch: int) -> Headers:
    letter = DeadLetter(LogRecord(0, offset, b"x", 1), Reason.UNKNOWN_ACTION, "no such action")
    return dead_letter_record(to_lines([dead_letter_row(letter, now_ms=1, epoch=epoch)])).headers
