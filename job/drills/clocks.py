"""Clocks that a drill can set, one for each TaskManager and its Python workers; all others keep the machine's time.

A small library, loaded before all others, adds an offset to the time of day. It reads the offset from a file that it
shares with the drill, so that clocks jump at once. Clocks that never step back, by which waits are measured, stay.
"""

import os
import shutil
import struct
import subprocess
from collections.abc import Mapping
from pathlib import Path

from job.cluster.layout import task_manager_name
from job.cluster.spec import ProcessSettings
from job.drills.errors import DrillError

_SOURCE = Path(__file__).with_name("shifted_clock.c")
_OFFSET = struct.Struct("=q")  # ns
_COMPILER = "cc"


def why_no_clocks() -> str | None:
    """Return why clocks cannot be set here; None if they can."""
    return None if shutil.which(_COMPILER) else "there is no C compiler here (cc), to make a clock that can be set"


class Clocks:
    """The clocks of the TaskManagers, in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def processes(self, task_managers: int) -> Mapping[str, ProcessSettings]:
        """Make the clocks, all with the machine's time, and return the settings of each TaskManager by its name.

        Raises:
            DrillError: the library could not be compiled.
        """
        self._folder.mkdir(parents=True)
        library = self._folder / "shifted_clock.so"
        command = [_COMPILER, "-shared", "-fPIC", "-O2", "-o", str(library), str(_SOURCE), "-ldl"]
        compiled = subprocess.run(command, capture_output=True, text=True, check=False)
        if compiled.returncode:
            msg = f"a clock that can be set could not be compiled: {compiled.stderr.strip()[-300:]}"
            raise DrillError(msg)
        for index in range(task_managers):
            self._file(index).write_bytes(_OFFSET.pack(0))
        return {
            task_manager_name(index): ProcessSettings(
                before=("env", f"LD_PRELOAD={library}", f"RECLOOP_CLOCK={self._file(index)}")
            )
            for index in range(task_managers)
        }

    def set(self, task_manager: int, ahead_s: float) -> None:
        """Set the clock of a TaskManager ahead of the machine's by some seconds, or behind it."""
        file = os.open(self._file(task_manager), os.O_WRONLY)
        try:  # in place: it is mapped into the memory of living processes
            os.pwrite(file, _OFFSET.pack(round(ahead_s * 1e9)), 0)
        finally:
            os.close(file)

    def _file(self, task_manager: int) -> Path:
        return self._folder / task_manager_name(task_manager)
