"""The embedded behaviour log as a setting of the job: where it is."""

from dataclasses import dataclass
from pathlib import Path

from udfs.log_reader import FileLogReader


@dataclass(frozen=True, slots=True)
class FileLog:
    """A log in a folder that every TaskManager sees."""

    folder: Path

    def open(self) -> FileLogReader:
        """A reader of its own for each subtask."""
        return FileLogReader(self.folder)
