"""The files and folders by which the phases of a checkpoint are told apart."""

import os
from pathlib import Path

from job.drills.appearances import Appearances
from job.drills.faults.checkpoint_phases import KillAcknowledged, KillCommitting
from job.drills.pending_files import open_files, visible


def test_what_appears_in_watched_folders_is_reported_in_order(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with Appearances() as seen:
        seen.watch(tmp_path)
        (tmp_path / "chk-1").mkdir()
        seen.watch(tmp_path / "chk-1")
        (tmp_path / "chk-1" / ".metadata").touch()
        (tmp_path / "chk-1" / ".metadata").rename(tmp_path / "chk-1" / "metadata")
        (tmp_path / "other" / "unseen").touch()
        found = [seen.next(timeout_s=30) for _ in range(3)]
        assert found == [tmp_path / "chk-1", tmp_path / "chk-1" / ".metadata", tmp_path / "chk-1" / "metadata"]
        assert seen.next(timeout_s=0) is None


def test_many_names_of_all_lengths_are_read_whole(tmp_path: Path) -> None:
    names = ["x" * (1 + number % 200) + str(number) for number in range(2_000)]
    with Appearances() as seen:
        seen.watch(tmp_path)
        for name in names:
            (tmp_path / name).touch()
        assert [seen.next(timeout_s=30) for _ in names] == [tmp_path / name for name in names]


def test_a_process_s_open_files_are_the_hidden_ones_of_tables(tmp_path: Path) -> None:
    hidden, other = tmp_path / ".part-0a-b-7.inprogress.c-d", tmp_path / "part-0a-b-6"
    with hidden.open("w"), other.open("w"):
        assert [file.name for file in open_files(os.getpid()) if file.parent == tmp_path] == [hidden.name]
    assert visible(hidden) == tmp_path / "part-0a-b-7"


def test_a_phase_is_told_by_what_is_committed_and_what_is_not() -> None:
    found = {(hidden, done) for hidden in (0, 2) for done in (0, 2) if KillAcknowledged().is_phase(hidden, done)}
    assert found == {(2, 0)}
    found = {(hidden, done) for hidden in (0, 2) for done in (0, 2) if KillCommitting().is_phase(hidden, done)}
    assert found == {(2, 2)}
