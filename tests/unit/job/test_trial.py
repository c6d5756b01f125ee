"""What the tables account for, whichever of them a checkpoint has shown so far; and the end of a killed trial."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from job.cluster.jvm import MARK
from job.trial import accounted, stopped_if_killed
from model.waiting import wait_until
from tests.unit.tables.rows import HOUR, behavior, commit, letter, made_list

pytestmark = pytest.mark.heavy
counts = st.integers(0, 4)


@settings(max_examples=15)
@given(counts, counts, counts, counts)
def test_a_behaviour_counts_once_it_is_applied_and_has_its_list(
    applied: int, lists: int, duplicates: int, letters: int
) -> None:
    offsets = iter(range(100))
    with TemporaryDirectory() as folder:
        tables = Path(folder)
        rows = {
            "user_behavior": [
                *(behavior(next(offsets)) for _ in range(applied)),
                *(behavior(next(offsets)) | {"outcome": "duplicate"} for _ in range(duplicates)),
            ],
            "recommendation_lists": [made_list(version + 1, ["a"]) for version in range(lists)],
            "dead_letters": [letter(next(offsets)) for _ in range(letters)],
        }
        for table, of_table in rows.items():
            commit(tables / table / HOUR, "part-0-0", of_table)
        assert accounted(tables) == min(applied, lists) + duplicates + letters


OF_A_KILLED_TRIAL = f"""
import os, subprocess, sys, time
from pathlib import Path
from job.trial import stopped_if_killed
with stopped_if_killed(Path(sys.argv[1])):
    marked = {{**os.environ, {MARK!r}: sys.argv[1]}}
    print(subprocess.Popen(["sleep", "300"], env=marked, start_new_session=True).pid, flush=True)
    time.sleep(300)
"""


def test_a_cluster_ends_with_a_killed_process_that_used_it(tmp_path: Path) -> None:
    cluster, elsewhere = tmp_path / "cluster", tmp_path / "elsewhere"
    for folder in (cluster, elsewhere):
        folder.mkdir()
    for name in ("job", "typing"):
        (elsewhere / f"{name}.py").write_text("raise ImportError('a file of the user')\n")
    command = [sys.executable, "-P", "-c", OF_A_KILLED_TRIAL, str(cluster)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=elsewhere) as trial:
        assert trial.stdout is not None
        of_cluster = psutil.Process(int(trial.stdout.readline()))
        trial.kill()
    try:
        assert wait_until(lambda: not lives(of_cluster), timeout_s=120, poll_s=0.05)
    finally:
        if lives(of_cluster):
            of_cluster.kill()


def test_a_cluster_ends_with_a_block_that_could_not_stop_it(tmp_path: Path) -> None:
    marked = {**os.environ, MARK: str(tmp_path)}
    with subprocess.Popen(["sleep", "300"], env=marked, start_new_session=True) as of_cluster:
        with pytest.raises(KeyboardInterrupt), stopped_if_killed(tmp_path):
            raise KeyboardInterrupt
        try:
            assert of_cluster.wait(1) == -signal.SIGKILL
        finally:
            of_cluster.kill()


def lives(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
