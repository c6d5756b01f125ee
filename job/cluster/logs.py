"""The first line of a log that names an error."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

_ERROR = re.compile(r"\b(ERROR|FATAL)\b|^Error\b|^(Caused by: )?[\w.$]+(Exception|Error)\b|^Unrecognized|^Traceback")
_VM_ERROR = "Error occurred during initialization of VM"  # its reason is on the next line
_CAUSE = "Caused by: "
_STACK = re.compile(r"^(\s+at |\s+\.\.\. |Caused by: |[\w.$]+(Exception|Error)\b)")


@dataclass(frozen=True)
class LogLine:
    """A line of a log file.

    Attributes:
        path: the file.
        number: the line's number, from 1.
        text: the line.
        cause: the reason that follows it: the innermost cause of a stack trace, or the fault that a JVM reports.
    """

    path: Path
    number: int
    text: str
    cause: str | None = None

    def __str__(self) -> str:
        cause = f"\n{_CAUSE}{self.cause}" if self.cause else ""
        return f"{self.path}:{self.number}: {self.text}{cause}"


def first_error(paths: Iterable[Path]) -> LogLine | None:
    """Return the first line that names an error, in the first of these files that has one."""
    for path in paths:
        if (found := _first_in(path)) is not None:
            return found
    return None


def _first_in(path: Path) -> LogLine | None:
    """Return the first line of a file that names an error, with the innermost cause of its stack trace."""
    if not path.is_file():
        return None
    with path.open(errors="replace") as lines:
        for number, line in enumerate(lines, start=1):
            if _ERROR.search(line):
                if line.startswith(_VM_ERROR):
                    cause = next(lines, "").strip()
                else:
                    stack = [each for each in takewhile(_STACK.match, lines) if each.startswith(_CAUSE)]
                    cause = stack[-1].removeprefix(_CAUSE).strip() if stack else ""
                return LogLine(path=path, number=number, text=line.strip(), cause=cause or None)
    return None
