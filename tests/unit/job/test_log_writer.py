"""The embedded log's writers: one per partition, whole lines only, each user in one partition."""

import json
import resource
from pathlib import Path

import pytest

from job.replay.log_writer import (
    LogLockedError,
    LogWriter,
    PartitionCountError,
    PartitionWriter,
    count_lines,
    create_log,
)
from model.datasets.json_lines import decode_behavior
from model.records import UserBehavior
from udfs.hashing import stable_hash
from udfs.log.file_log import FileLogReader, partition_file
from udfs.log.reader import LogDamagedError


def behaviors(count: int) -> list[UserBehavior]:
    return [UserBehavior(f"user-{number % 7}", "click", f"i{number}", number) for number in range(count)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return partition_file(tmp_path, 0)


def test_a_new_log_says_how_many_partitions_it_has(tmp_path: Path) -> None:
    assert create_log(tmp_path / "log", 3) == FileLogReader(tmp_path / "log").partitions() == 3


def test_a_log_that_is_there_keeps_its_partitions(tmp_path: Path) -> None:
    create_log(tmp_path, 3)
    assert create_log(tmp_path) == 3


def test_another_number_of_partitions_is_refused(tmp_path: Path) -> None:
    create_log(tmp_path, 3)
    with pytest.raises(PartitionCountError, match="has 3 partitions, not 4"):
        create_log(tmp_path, 4)


DAMAGED = [
    *("", "{", "[]", "null", "4", "{}", '{"format": 9, "partitions": 4}', "[" * 100_000, '{"partitions": "\udcff"}'),
    *(
        f'{{"format": 1, "partitions": {count}}}'
        for count in ("0", "-2", "2.5", '"4"', "true", "null", "1e9", "9" * 30)
    ),
]


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_log_json_is_told_with_its_path_to_writers_and_readers(tmp_path: Path, content: str) -> None:
    (tmp_path / "log.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    for use in (create_log, LogWriter, lambda folder: FileLogReader(folder).partitions()):
        with pytest.raises(LogDamagedError, match=r"^/.*/log\.json is damaged .*: put its number of partitions back"):
            use(tmp_path)


def test_a_writer_that_runs_out_of_files_holds_none(tmp_path: Path) -> None:
    before = {int(each.name) for each in Path("/proc/self/fd").iterdir()}
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(before) + 20, hard))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            LogWriter(tmp_path, 4096)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert len(list(Path("/proc/self/fd").iterdir())) <= len(before)


def test_lines_are_there_as_soon_as_they_are_appended(tmp_path: Path, file: Path) -> None:
    writer = PartitionWriter(tmp_path, 0)
    writer.append([b"one", b"two"])
    assert file.read_bytes() == b"one\ntwo\n"
    writer.close()


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    with LogWriter(tmp_path, 2), pytest.raises(LogLockedError, match=r"partition-0000\.jsonl has a writer already"):
        LogWriter(tmp_path)


def test_a_refused_writer_holds_no_lock(tmp_path: Path) -> None:
    create_log(tmp_path, 2)
    last = PartitionWriter(tmp_path, 1)
    with pytest.raises(LogLockedError):
        LogWriter(tmp_path)
    last.close()
    LogWriter(tmp_path).close()


def test_a_closed_writer_gives_its_lock_back(tmp_path: Path) -> None:
    LogWriter(tmp_path, 1).close()
    LogWriter(tmp_path, 1).close()


@pytest.mark.parametrize("half", [b"half", b"x" * 200_000])
@pytest.mark.parametrize("whole", [b"", b"one\n", b"one\n" + b"y" * 70_000 + b"\n"])
def test_a_half_line_is_cut_off_by_the_next_writer(tmp_path: Path, file: Path, whole: bytes, half: bytes) -> None:
    file.write_bytes(whole + half)
    writer = PartitionWriter(tmp_path, 0)
    writer.append([b"next"])
    writer.close()
    assert file.read_bytes() == whole + b"next\n"


def test_whole_lines_are_left_alone(tmp_path: Path, file: Path) -> None:
    file.write_bytes(b"one\n\n")
    PartitionWriter(tmp_path, 0).close()
    assert file.read_bytes() == b"one\n\n"


def test_each_user_is_in_the_partition_of_the_users_hash_in_order(tmp_path: Path) -> None:
    with LogWriter(tmp_path, 3) as writer:
        writer.append(behaviors(40))
    for partition in range(3):
        found = [decode_behavior(line) for line in partition_file(tmp_path, partition).read_bytes().splitlines()]
        assert found == [done for done in behaviors(40) if stable_hash(done.user_id) % 3 == partition]


def test_every_line_says_when_it_was_appended(tmp_path: Path, file: Path) -> None:
    with LogWriter(tmp_path, 1) as writer:
        writer.append([UserBehavior("u", "click", "i", 5, event_id="e", position=0)])
    line = json.loads(file.read_bytes())
    assert line.pop("appended_at") > 1_700_000_000_000
    assert line == {"user_id": "u", "action": "click", "item_id": "i", "timestamp": 5, "event_id": "e", "position": 0}


@pytest.mark.parametrize(("content", "lines"), [(None, 0), (b"", 0), (b"a\nb\n", 2), (b"a\n\nhalf", 2)])
def test_only_whole_lines_count(file: Path, content: bytes | None, lines: int) -> None:
    if content is not None:
        file.write_bytes(content)
    assert count_lines(file) == lines
