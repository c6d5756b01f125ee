"""The embedded log's reader: every complete line once, in order, and never a line of another file."""

import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from udfs.log.file_log import FileLogReader, partition_file
from udfs.log.parsing import MAX_RAW_BYTES, LogRecord
from udfs.log.reader import LogDamagedError, LogReplacedError, LogTruncatedError, MissingLogError, Poll

MIB = 1 << 20
START = Poll([], 0, b"", more=False)


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[FileLogReader]:
    reader = FileLogReader(tmp_path)
    yield reader
    reader.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Partition 0's file, of two lines."""
    file = partition_file(tmp_path, 0)
    file.write_bytes(b"one\ntwo\n")
    return file


def append(file: Path, content: bytes) -> None:
    with file.open("ab") as out:
        out.write(content)


def go_on(reader: FileLogReader, after: Poll = START, limit: int = 100) -> Poll:
    return reader.poll(0, after.next_offset, after.cursor, limit)


def raws(poll: Poll) -> list[bytes]:
    return [record.raw for record in poll.records]


def test_records_are_numbered_lines(reader: FileLogReader, file: Path) -> None:
    assert go_on(reader).records == [LogRecord(0, 0, b"one", 3), LogRecord(0, 1, b"two", 3)]


def test_a_poll_goes_on_where_the_last_one_ended(reader: FileLogReader, file: Path) -> None:
    polled = go_on(reader)
    append(file, b"three\n")
    assert go_on(reader, polled).records == [LogRecord(0, 2, b"three", 5)]


def test_a_poll_takes_no_more_than_its_limit_and_says_that_there_is_more(reader: FileLogReader, file: Path) -> None:
    first = go_on(reader, limit=1)
    second = go_on(reader, first, limit=1)
    assert (raws(first), first.more, raws(second), second.more) == ([b"one"], True, [b"two"], False)


def test_a_half_written_last_line_waits(reader: FileLogReader, file: Path) -> None:
    append(file, b"thr")
    polled = go_on(reader)
    assert (raws(polled), raws(go_on(reader, polled))) == ([b"one", b"two"], [])
    append(file, b"ee\n")
    assert raws(go_on(reader, polled)) == [b"three"]


def test_a_half_line_that_its_next_writer_cut_off_was_never_there(reader: FileLogReader, file: Path) -> None:
    append(file, b"half of a line")
    polled = go_on(reader)
    os.truncate(file, len(b"one\ntwo\n"))
    append(file, b"three\n")
    assert raws(go_on(reader, polled)) == [b"three"]


def test_an_empty_line_is_a_record(reader: FileLogReader, file: Path) -> None:
    append(file, b"\n\nlast\n")
    assert raws(go_on(reader, go_on(reader, limit=2))) == [b"", b"", b"last"]


def test_nothing_new_changes_nothing(reader: FileLogReader, file: Path) -> None:
    polled = go_on(reader)
    assert go_on(reader, polled) == Poll([], polled.next_offset, polled.cursor, more=False)


def test_a_partition_without_a_file_is_empty(reader: FileLogReader) -> None:
    assert go_on(reader) == START


def test_the_cursor_is_good_in_a_new_reader(reader: FileLogReader, file: Path, tmp_path: Path) -> None:
    polled = go_on(reader, limit=1)
    restored = FileLogReader(tmp_path)
    assert go_on(restored, polled).records == [LogRecord(0, 1, b"two", 3)]
    restored.close()


def test_partitions_are_read_apart(reader: FileLogReader, file: Path, tmp_path: Path) -> None:
    partition_file(tmp_path, 1).write_bytes(b"other\n")
    assert raws(go_on(reader)) == [b"one", b"two"]
    assert raws(reader.poll(1, 0, b"", 100)) == [b"other"]


def test_a_line_over_1_mib_is_one_record_of_its_beginning(reader: FileLogReader, file: Path) -> None:
    long = b"x" * (2 * MIB + 5)
    append(file, long + b"\nafter\n")
    polled = go_on(reader, go_on(reader))
    assert polled.records == [LogRecord(0, 2, long[:MAX_RAW_BYTES], len(long))]
    assert go_on(reader, polled).records == [LogRecord(0, 3, b"after", 5)]


def test_a_line_of_1_mib_with_its_newline_is_a_whole_record(reader: FileLogReader, file: Path) -> None:
    append(file, b"x" * (MIB - 1) + b"\n")
    assert raws(go_on(reader, go_on(reader))) == [b"x" * (MIB - 1)]


def test_a_half_written_line_over_1_mib_waits(reader: FileLogReader, file: Path) -> None:
    append(file, b"x" * (MIB + 9))
    polled = go_on(reader, go_on(reader))
    assert (polled.records, polled.next_offset, polled.more) == ([], 2, False)
    append(file, b"\n")
    assert [record.size for record in go_on(reader, polled).records] == [MIB + 9]


class Counted(io.FileIO):
    """A file that counts the bytes that were read of it."""

    taken = 0

    def read(self, size: int | None = -1) -> bytes:
        found = super().read(-1 if size is None else size)
        Counted.taken += len(found)
        return found


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> type[Counted]:
    monkeypatch.setattr(Path, "open", lambda path, *_mode, **_kept: Counted(path))
    Counted.taken = 0
    return Counted


@pytest.mark.parametrize("size", [1_000, MIB - 1, MIB, 3 * MIB + 7, 40 * MIB])
def test_a_line_without_an_end_is_read_once_however_often_it_is_polled(
    size: int, reader: FileLogReader, file: Path, taken: type[Counted]
) -> None:
    polled = go_on(reader)
    with io.open(file, "ab") as out:  # noqa: UP020 Path.open is counted
        out.write(b"x" * size)
    for _ in range(200):
        polled = go_on(reader, polled)
        assert polled.next_offset == 2
    assert taken.taken <= size + 200 * 3 * 64


def test_a_line_that_grows_byte_by_byte_is_read_about_once(
    reader: FileLogReader, file: Path, taken: type[Counted]
) -> None:
    polled = go_on(reader)
    with io.open(file, "ab", buffering=0) as out:  # noqa: UP020 Path.open is counted
        for _ in range(500):
            out.write(b"x" * 5_000)
            polled = go_on(reader, polled)
        out.write(b"\nafter\n")
    found = go_on(reader, polled)
    assert [record.size for record in found.records] == [2_500_000]
    assert raws(go_on(reader, found)) == [b"after"]
    assert taken.taken <= 2_500_000 + MAX_RAW_BYTES + 502 * 3 * 64


def test_a_half_line_that_was_cut_off_and_written_anew_is_read_as_it_is(reader: FileLogReader, file: Path) -> None:
    polled = go_on(reader)
    for size in (10, MIB, 3 * MIB):
        append(file, b"x" * size)
        polled = go_on(reader, polled)
        os.truncate(file, file.stat().st_size - size)
        append(file, b"y" * (size - 1) + b"\n")
        polled = go_on(reader, polled)
        assert [record.size for record in polled.records] == [size - 1]


def test_a_truncated_file_is_refused(reader: FileLogReader, file: Path) -> None:
    polled = go_on(reader)
    os.truncate(file, 5)
    with pytest.raises(LogTruncatedError, match=r"partition-0000\.jsonl has 5 bytes, but 8 were read"):
        go_on(reader, polled)


def test_a_removed_file_is_refused(reader: FileLogReader, file: Path) -> None:
    polled = go_on(reader)
    file.unlink()
    with pytest.raises(LogReplacedError, match="is gone"):
        go_on(reader, polled)


def test_another_file_of_the_same_size_is_refused(reader: FileLogReader, file: Path) -> None:
    polled = go_on(reader)
    other = file.with_name("other")
    other.write_bytes(b"two\none\n")
    other.replace(file)
    with pytest.raises(LogReplacedError, match="was replaced"):
        go_on(reader, polled)


def test_a_file_rewritten_in_place_is_refused_as_soon_as_it_grows(reader: FileLogReader, file: Path) -> None:
    polled = go_on(reader)
    file.write_bytes(b"two\none\nthree\n")
    with pytest.raises(LogReplacedError, match="was replaced"):
        go_on(reader, polled)


def test_a_file_rewritten_in_place_is_refused_by_a_new_reader(reader: FileLogReader, file: Path) -> None:
    polled = go_on(reader)
    reader.close()
    file.write_bytes(b"two\none\n")
    with pytest.raises(LogReplacedError, match="was replaced"):
        go_on(reader, polled)


def test_a_refusal_is_repeated(reader: FileLogReader, file: Path) -> None:
    polled = go_on(reader)
    reader.close()
    file.write_bytes(b"two\none\nthree\n")
    for _ in range(2):
        with pytest.raises(LogReplacedError, match="was replaced"):
            go_on(reader, polled)


def test_a_moved_log_is_read_on(reader: FileLogReader, file: Path) -> None:
    polled = go_on(reader)
    copy = file.with_name("copy")
    copy.write_bytes(file.read_bytes() + b"three\n")
    copy.replace(file)
    assert raws(go_on(reader, polled)) == [b"three"]


def test_the_manifest_says_how_many_partitions_there_are(reader: FileLogReader, tmp_path: Path) -> None:
    (tmp_path / "log.json").write_text(json.dumps({"format": 1, "partitions": 7}))
    assert reader.partitions() == 7


def test_a_missing_log_says_how_to_make_one(reader: FileLogReader) -> None:
    with pytest.raises(MissingLogError, match="recloop replay"):
        reader.partitions()


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"partitions": null}'])
def test_a_damaged_log_says_what_to_put_back(reader: FileLogReader, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "log.json").write_bytes(content)
    with pytest.raises(LogDamagedError, match=r"log\.json is damaged .* put its number of partitions back"):
        reader.partitions()


lines = st.lists(st.binary(max_size=20).filter(lambda raw: b"\n" not in raw), max_size=20)


@given(lines, st.lists(st.integers(0, 400)), st.integers(1, 4), st.booleans())
def test_however_it_is_appended_the_records_are_the_same(
    written: list[bytes], cuts: list[int], limit: int, restarts: bool
) -> None:
    content = b"".join(line + b"\n" for line in written)
    ends = sorted({*(cut for cut in cuts if cut < len(content)), len(content)})
    with TemporaryDirectory() as folder:
        found = read_while_it_grows(Path(folder), content, ends, limit, restarts=restarts)
    assert found == [LogRecord(0, offset, line, len(line)) for offset, line in enumerate(written)]


def read_while_it_grows(
    folder: Path, content: bytes, ends: list[int], limit: int, *, restarts: bool
) -> list[LogRecord]:
    """Appends up to each end in turn, and reads all there is each time."""
    reader, polled, found = FileLogReader(folder), START, list[LogRecord]()
    for start, end in zip([0, *ends], ends, strict=False):
        append(partition_file(folder, 0), content[start:end])
        polled = go_on(reader, polled, limit)
        found += polled.records
        while polled.more:
            polled = go_on(reader, polled, limit)
            found += polled.records
        if restarts:
            reader.close()
    reader.close()
    return found
