"""Whatever is in a log's files, its reader gives their lines or one of its own errors, and never other records."""

from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.udfs.default_rules import PARSING
from tests.unit.udfs.examples import NOW_MS
from udfs.elements import LoggedBehavior
from udfs.log.file_log import MANIFEST, MOST_PARTITIONS, FileLogReader, partition_file
from udfs.log.parsing import DeadLetter, parse
from udfs.log.reader import LogDamagedError, LogReplacedError, LogTruncatedError, Poll

JSONISH = st.sampled_from([*b'{}[]":,\n\\u0eE-.', *b"partitionsformat", 0, 255, 0xC3])
bytes_of_a_log = st.one_of(st.binary(max_size=200), st.lists(JSONISH, max_size=200).map(bytes))


def read(reader: FileLogReader, after: Poll, limit: int) -> Poll:
    """All that there is from a place on."""
    records, more = [], True
    while more:
        after = reader.poll(0, after.next_offset, after.cursor, limit)
        records += after.records
        more = after.more and bool(after.records)
    return Poll(records=records, next_offset=after.next_offset, cursor=after.cursor, more=False)


@given(bytes_of_a_log, st.integers(1, 5))
def test_any_bytes_are_lines_and_each_is_a_behavior_or_a_dead_letter(content: bytes, limit: int) -> None:
    with TemporaryDirectory() as folder:
        partition_file(Path(folder), 0).write_bytes(content)
        reader = FileLogReader(Path(folder))
        found = read(reader, Poll(records=[], next_offset=0, cursor=b"", more=True), limit).records
        reader.close()
    assert [each.raw for each in found] == content.split(b"\n")[:-1]
    assert [each.offset for each in found] == list(range(len(found)))
    for each in found:
        assert isinstance(parse(each, PARSING, newest_ms=0, now_ms=NOW_MS), LoggedBehavior | DeadLetter)


@given(bytes_of_a_log, bytes_of_a_log)
def test_a_file_that_is_another_one_now_is_refused_or_goes_on_with_its_own_lines(before: bytes, after: bytes) -> None:
    """Of what was read the last 64 bytes are known: a file of other bytes there is refused, one of the same goes on."""
    with TemporaryDirectory() as folder:
        file = partition_file(Path(folder), 0)
        file.write_bytes(before)
        reader = FileLogReader(Path(folder))
        first = read(reader, Poll(records=[], next_offset=0, cursor=b"", more=True), 3)
        reader.close()
        was_read = before[: before.rfind(b"\n") + 1]
        file.write_bytes(after)
        reader = FileLogReader(Path(folder))
        try:
            found = read(reader, first, 3).records
        except (LogReplacedError, LogTruncatedError):
            assert after[: len(was_read)] != was_read
            return
        finally:
            reader.close()
    assert after[: len(was_read)][-64:] == was_read[-64:]
    assert [each.raw for each in found] == after[len(was_read) :].split(b"\n")[:-1]


@given(bytes_of_a_log)
def test_any_bytes_are_a_number_of_partitions_or_refused(content: bytes) -> None:
    with TemporaryDirectory() as folder:
        (Path(folder) / MANIFEST).write_bytes(content)
        with suppress(LogDamagedError):
            assert 1 <= FileLogReader(Path(folder)).partitions() <= MOST_PARTITIONS
