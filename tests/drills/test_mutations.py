"""A drill of a job that is broken on purpose fails, and names the rule that is broken."""

import shutil
from pathlib import Path

import pytest

from job.deployment.import_graph import PACKAGES
from job.deployment.shipping import PROJECT
from job.drills.drill import run_drill
from job.drills.faults import FAULTS
from job.drills.verdict import Verdict

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(900)]

AT_ONCE = '''    from pyflink.common import Types

    from udfs.show_early import ShowEarly

    rows.map(ShowEarly(str(folder.absolute() / table)), Types.STRING()).uid(f"write-{table}")


def write_table_once(rows: DataStream, table: str, folder: Path) -> None:
    """Write strings'''
SHOW_EARLY = '''"""A sink that shows rows once a second, whatever checkpoint holds them: at least once."""

import threading
import uuid
from pathlib import Path
from typing import Any

from pyflink.datastream import MapFunction, RuntimeContext


class ShowEarly(MapFunction):
    """Append rows to a hidden file, which gets a visible name every second."""

    def __init__(self, table: str) -> None:
        self._table = table

    def open(self, runtime_context: RuntimeContext) -> None:
        self._folder = Path(self._table) / "dt=2026-01-01" / "hour=00"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._hidden = self._folder / f".part-{uuid.uuid4()}-0"
        self._lock, self._closed = threading.Lock(), threading.Event()
        threading.Thread(target=self._show, daemon=True).start()

    def close(self) -> None:
        self._closed.set()

    def map(self, value: Any) -> str:
        with self._lock, self._hidden.open("a") as file:
            file.write(value if value.endswith("\\n") else value + "\\n")
        return ""

    def _show(self) -> None:
        while not self._closed.wait(1.0):
            with self._lock:
                if self._hidden.exists():
                    self._hidden.rename(self._folder / f"part-{uuid.uuid4()}-0")
'''


def mutated(folder: Path, file: str, old: str, new: str) -> Path:
    """The project's packages with one text replaced."""
    for package in PACKAGES:
        shutil.copytree(PROJECT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    text = (folder / file).read_text()
    assert text.count(old) == 1, "the mutation has to be adapted to the code"
    (folder / file).write_text(text.replace(old, new))
    return folder


def rows_shown_at_once(tmp_path: Path) -> Path:
    """The packages with sinks that show rows before their checkpoint is complete."""
    code = mutated(tmp_path / "code", "job/topology/sinks.py", '    """Write strings', f'    """Append."""\n{AT_ONCE}')
    (code / "udfs" / "show_early.py").write_text(SHOW_EARLY)
    return code


def drilled(code: Path, fault: str, tmp_path: Path) -> Verdict:
    return run_drill([FAULTS[fault]], tmp_path / "drill", lambda _: None, code=code)


def broken(verdict: Verdict) -> dict[str, set[str]]:
    """Run -> the rules that it breaks."""
    runs = (verdict.control, *verdict.faults)
    return {run.name: {name for name, found in run.findings.items() if found.holds is False} for run in runs}


def test_rows_that_are_shown_before_their_checkpoint(tmp_path: Path) -> None:
    found = broken(drilled(rows_shown_at_once(tmp_path), "kill-task-manager", tmp_path))
    assert found["control"] == set()
    assert "I1" in found["kill-task-manager"]


def test_attempts_that_share_an_epoch(tmp_path: Path) -> None:
    new = "    return 1  #"
    old = "    return max(number * EPOCHS_A_DEPLOYMENT + begun"
    found = broken(drilled(mutated(tmp_path / "code", "udfs/attempt.py", old, new), "corrupt-checkpoint", tmp_path))
    assert found["control"] == set()
    # Views show one row of each key in any case; but what was processed again cannot be told from what it replaces.
    assert "I7" in found["corrupt-checkpoint"]


def test_behaviours_that_are_numbered_wrongly_and_not_checked(tmp_path: Path) -> None:
    code = mutated(tmp_path / "code", "udfs/users/profile.py", "profile.user_seq += 1", "profile.user_seq += 2")
    lists = code / "udfs" / "lists" / "user_list.py"
    checked = "if scored.user_seq != previous.user_seq + 1:"
    assert checked in lists.read_text()
    lists.write_text(lists.read_text().replace(checked, "if scored.user_seq < 0:"))
    assert "I2" in broken(drilled(code, "poison-flood", tmp_path))["poison-flood"]


def test_repeated_events_that_are_applied_again(tmp_path: Path) -> None:
    old = "if event_id is not None and not is_new_event("
    new = "if event_id is not None and False and not is_new_event("
    code = mutated(tmp_path / "code", "udfs/users/profile.py", old, new)
    found = broken(drilled(code, "poison-flood", tmp_path))
    assert "I1" in found["control"]
    assert "I1" in found["poison-flood"]


def test_published_lists_that_are_written_anew_whatever_their_order(tmp_path: Path) -> None:
    """Of each user the first list stays, in place of the one that counts."""
    old, new = "is None or found.order >= known[0]:", "is None:"
    code = mutated(tmp_path / "code", "udfs/publishing/list_files.py", old, new)
    files = code / "udfs" / "publishing" / "list_files.py"
    size = "_REWRITE_BYTES: Final = 256 << 20"
    assert size in files.read_text()
    files.write_text(files.read_text().replace(size, "_REWRITE_BYTES: Final = 1"))
    found = broken(drilled(code, "poison-flood", tmp_path))
    assert found["control"] == {"I8"}
    assert "I8" in found["poison-flood"]
