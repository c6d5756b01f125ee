"""Faults beside the job: its tables' compactor is killed, and the folder of its checkpoints is gone for a while."""

import signal
import subprocess
import sys
from pathlib import Path

from job.drills.errors import DrillError
from job.drills.evidence import Expectation
from job.drills.faults.fault import Fault, Injected
from job.drills.site import Site, now_ms
from job.tables.journal import Step

_COMPACTOR = "job.drills.dying_compactor"
_LONGEST_S = 120.0
_QUIET = Expectation(restarts=False, reprocesses=False)


class KillCompactor(Fault):
    """Kill the tables' compactor after each step of a merge, while the job writes; the next one finishes its work."""

    name = "kill-compactor"
    expects = _QUIET

    def inject(self, site: Site) -> Injected:
        """Let one compactor after the other come as far as its step, and kill itself there with SIGKILL."""
        at_ms = now_ms()
        for step in Step:
            command = [sys.executable, "-m", _COMPACTOR, str(site.tables), step]
            ended = subprocess.run(command, capture_output=True, text=True, timeout=_LONGEST_S, check=False)
            if ended.returncode != -signal.SIGKILL:
                msg = f"the compactor did not come as far as {step.value!r}: {ended.stderr.strip()[-300:]}"
                raise DrillError(msg)
        return Injected(at_ms, f"a compactor got SIGKILL after each of {len(Step)} steps")

    def evidence(self, site: Site, injected: Injected) -> str | None:
        """Return that they died; rows are judged after all their work was finished or undone."""
        return f"{len(Step)} compactors died"


class CheckpointFolderGone(Fault):
    """Take away the folder of the checkpoints until the job fails for it, and put it back."""

    name = "checkpoint-folder-gone"
    touches = "checkpoints"

    def inject(self, site: Site) -> Injected:
        """Move the folder away, and put a file in its place, so that nobody makes another."""
        folder, away = _folders(site)
        at_ms = now_ms()
        folder.rename(away)
        folder.touch()
        return Injected(at_ms, "the folder of the checkpoints was moved away until the job had failed")

    def mend(self, site: Site) -> None:
        """Put the folder back."""
        folder, away = _folders(site)
        if away.exists():
            folder.unlink()
            away.rename(folder)


def _folders(site: Site) -> tuple[Path, Path]:
    folder = site.cluster.layout.checkpoints
    return folder, folder.with_name("checkpoints-away")
