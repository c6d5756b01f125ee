"""What failed, as the logs tell it: the first line of a log that names an error."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_ERROR = re.compile(
    r"\b(ERROR|FATAL)\b|^Error\b|^(Caused by: )?[\w.$]+(Exception|Error)\b|^Unrecognized|^Traceback|No such file"
)


@dataclass(frozen=True)
class LogLine:
    """A line of a log file.

    Attributes:
        path: the file.
        number: the line's number, from 1.
        text: the line.
    """

    path: Path
    number: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.number}: {self.text}"


def first_error(paths: Iterable[Path]) -> LogLine | None:
    """The first line that names an error, in the first of these files that has one."""
    for path in paths:
        if (found := _first_in(path)) is not None:
            return found
    return None


def _first_in(path: Path) -> LogLine | None:
    if not path.is_file():
        return None
    with path.open(errors="replace") as lines:
        for number, line in enumerate(lines, start=1):
            if _ERROR.search(line):
                return LogLine(path, number, line.strip())
    return None
