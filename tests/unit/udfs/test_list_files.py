"""The writers of the embedded lists log: one a partition, though one of an attempt before does not end."""

from contextlib import closing
from pathlib import Path

import pytest

from job.replay.log_writer import create_log
from udfs.errors import LogError
from udfs.log.file_log import partition_file
from udfs.publishing import list_files
from udfs.publishing.list_files import ListFile, open_list_file

PARTITIONS = 5


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(list_files, "_LOCK_S", 0.1)
    create_log(tmp_path, PARTITIONS)
    return tmp_path


def written(folder: Path) -> dict[int, str]:
    files = ((number, partition_file(folder, number)) for number in range(PARTITIONS))
    return {number: text for number, file in files if file.exists() and (text := file.read_text())}


def test_a_subtask_writes_its_own_partition_and_the_same_after_a_restart(folder: Path) -> None:
    for text in ("one", "two"):
        with closing(open_list_file(folder, 1, 2, "mine")) as file:
            file.append(text)
    assert written(folder) == {1: "one\ntwo\n"}


def test_where_the_writer_before_is_frozen_another_partition_is_taken(folder: Path) -> None:
    with closing(open_list_file(folder, 1, 2, "mine")) as frozen:
        with closing(open_list_file(folder, 1, 2, "mine")) as next_one, closing(open_list_file(folder, 0, 2, "mine")):
            next_one.append("of the successor")
            frozen.append("of the one that woke up")
        with closing(open_list_file(folder, 1, 2, "mine")) as third:
            third.append("of the third")
    assert written(folder) == {1: "of the one that woke up\n", 3: "of the successor\nof the third\n"}


def test_no_two_subtasks_take_the_same_partition_whatever_is_taken(folder: Path) -> None:
    frozen = ListFile(folder, 0, job="mine")
    files = [open_list_file(folder, subtask, 2, "mine") for subtask in range(2)]
    for number, file in enumerate(files):
        file.append(str(number))
    assert written(folder) == {1: "1\n", 2: "0\n"}
    for file in (frozen, *files):
        file.close()


def test_another_jobs_folder_is_refused_with_its_name(folder: Path) -> None:
    with (
        closing(open_list_file(folder, 0, 1, "theirs")),
        pytest.raises(LogError, match="is written by the job theirs: give each job its own"),
    ):
        open_list_file(folder, 0, 1, "mine")
    open_list_file(folder, 0, 1, "mine").close()


def test_where_no_partition_is_left_it_is_an_error(folder: Path) -> None:
    frozen = [ListFile(folder, partition, job="mine") for partition in (1, 3)]
    with pytest.raises(LogError, match="all partitions of"):
        open_list_file(folder, 1, 2, "mine")
    for file in frozen:
        file.close()
