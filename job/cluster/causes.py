"""The cause of a failure, found in Flink's output: Python's own error before Java's wrapper around it.

One function reads all that Flink leaves behind: the output of its command line, a job's exception, a log. Java wraps
a Python error several times over ("Python process exits with code: 1"); the traceback with the reason stands somewhere
above, or within.
"""

import re
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

_FRAME = re.compile(r'^(?P<prefix>[ |+-]*)File "(?P<file>[^"]*)", line (?P<line>\d+)')
_PREFIX = re.compile(r"^[ |+-]*")
"""The frame that an exception group draws before its lines."""
_RULER = re.compile(r"^\d* ?-{8,}$")
_PYTHON_VERSION = re.compile(r"/python(\d+\.\d+)/")
_LIBRARY = re.compile(r"/python\d+\.\d+/|/(?:site|dist)-packages/|^<")
_IGNORED = re.compile(r"^(Exception ignored in|Exception in thread|Error in atexit|Task exception was never)")
_EMBEDDED_ERROR = re.compile(r"PythonException: <class '(?:[\w.]*\.)?(\w+)'>: (.*)$", re.MULTILINE)
"""The line of a Java stack trace that holds a thread-mode operator's exception."""
_CALLED_JAVA = re.compile(r"^(?:py4j\.protocol\.)?Py4J\w*Error: An error occurred while (?:calling|trying)")
_JAVA_OF_CALL = re.compile(r"^: ([\w.$]+(?:Exception|Error)\b.*)$")
_ERROR_LINE = re.compile(r"^[\w.<>]+(?::.*)?$")
_MESSAGE_LINES = 4
_LONGEST = 600
_NO_PROGRAM = re.compile(r'Cannot run program "([^"]*)"[^:\n]*: (?:error=(\d+), )?(.*)')
_EXIT = re.compile(r"Python process exits with code: (\d+)")
_SIGNALLED = 128
"""Added to a signal's number in the exit code of a process that it ended."""
_JAVA_ERROR = re.compile(r"(?:^|: )((?:[a-z][\w$]*\.)+\w*(?:Exception|Error)\b.*)")
_CAUSED_BY = "Caused by: "
_STACK = re.compile(r"^(\s+at |\s*\.\.\. \d+ |Caused by: )")
_NOISE = re.compile(
    r"^(\s+at |\s*\.\.\. \d+ (more|common)|WARNING: |SLF4J|Picked up |-+$|\s*The program finished with the following"
    r"|Traceback \(most recent|Job has been submitted|\[INFO\]|\d{4}-\d\d-\d\d[ T]\S+ |Caused by: )"
)
_MISSING = re.compile(r"^(?:ModuleNotFoundError|ImportError)\b(?:: No module named '(\w+))?")
_FLINKS_OWN = frozenset({"apache_beam", "find_libpython", "pemja", "pyflink"})
_HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


@dataclass(frozen=True, slots=True)
class _Error:
    """The message at a traceback's end, the frames above it, and all lines that follow its first one."""

    text: str
    frames: tuple[tuple[str, str], ...]
    ignored: bool
    rest: tuple[str, ...]


def cause(text: str) -> str:
    """Return the most telling cause of a failure, on one line; "it said nothing" for an empty text.

    It is Python's own error with the file it came from, else the program that is not there, else Python's last output
    before it ended, else the innermost cause that Java names, else the last line.
    """
    lines = [line.rstrip() for line in text.split("\n")]
    found = _python_error(lines) or _missing_program(lines) or _last_output(lines) or _java_cause(lines)
    return (found or next((line.strip() for line in reversed(lines) if line), "it said nothing"))[:_LONGEST]


def python_versions(text: str, here: str = _HERE) -> str:
    """Return a remark if paths in a traceback show a Python of another version than this one; else an empty text."""
    there = sorted(set(_PYTHON_VERSION.findall(text)) - {here})
    return f"Python {there[0]} there, {here} here" if there else ""


def _python_error(lines: list[str]) -> str | None:
    """Return the last traceback's error with its place; else that of a thread-mode operator in Java's stack trace."""
    errors = list(_tracebacks(lines))
    chosen = [error for error in errors if not error.ignored] or errors
    if not chosen:
        embedded = _EMBEDDED_ERROR.findall("\n".join(lines))
        return ": ".join(filter(None, embedded[-1])) if embedded else None
    error = chosen[-1]
    if _CALLED_JAVA.match(error.text):
        trace = list(_java_trace(error.rest))
        return _missing_program(trace) or _java_cause(trace) or error.text
    own = [frame for frame in error.frames if not _LIBRARY.search(frame[0])]
    file, line = (own or list(error.frames))[-1]  # the innermost that is no library's
    remarks = [f"{PurePosixPath(file).name}:{line}"]
    if missing := _MISSING.match(error.text):
        remarks.append(python_versions("\n".join(file for file, _ in error.frames)))
        if missing[1] in _FLINKS_OWN:
            remarks.append("the Python that ran it has no apache-flink: that environment's bin has to be first on PATH")
    return f"{' '.join([error.text, *_more_of_message(error.rest)])} ({', '.join(filter(None, remarks))})"


def _tracebacks(lines: list[str]) -> Iterator[_Error]:
    """Yield each traceback of the text: its frames, and the first line behind them that is indented less."""
    frames: list[tuple[str, str]] = []
    indent, ignored = 0, False
    for number, line in enumerate(lines):
        if frame := _FRAME.match(line):
            if not frames:
                ignored = any(_IGNORED.match(before.strip()) for before in lines[max(0, number - 2) : number])
            frames.append((frame["file"], frame["line"]))
            indent = len(frame["prefix"])
            continue
        prefix = _PREFIX.match(line)
        if frames and line and prefix and prefix.end() < indent:
            bare = line[prefix.end() :]
            if _ERROR_LINE.match(bare):
                yield _Error(text=bare, frames=tuple(frames), ignored=ignored, rest=tuple(lines[number + 1 :]))
            frames = []


def _more_of_message(lines: tuple[str, ...]) -> Iterator[str]:
    """Yield the next lines of a message of several lines, up to the first line that is not part of it."""
    for line in lines[:_MESSAGE_LINES]:
        if not line.strip() or any(none.match(line) for none in (_NOISE, _JAVA_ERROR, _IGNORED)):
            return
        if part := _RULER.sub("", _PREFIX.sub("", line)).strip():
            yield part


def _java_trace(lines: tuple[str, ...]) -> Iterator[str]:
    """Yield the Java stack trace that follows a failed call, its first line without Py4J's colon."""
    for line in lines:
        if found := _JAVA_OF_CALL.match(line):
            yield found[1]
        elif _STACK.match(line):
            yield line
        elif _JAVA_ERROR.match(line) or not line:
            return


def _missing_program(lines: list[str]) -> str | None:
    found = [match for line in lines if (match := _NO_PROGRAM.search(line))]
    if not found:
        return None
    program, number, reason = found[-1].groups()
    where = " (it is not on PATH there)" if number == "2" and "/" not in program else ""
    return f"the program {program} cannot be run: {reason}{where}"


def _last_output(lines: list[str]) -> str | None:
    """Return Python's last line before it ended without a traceback, else its signal or exit code."""
    exits = [int(found[1]) for line in lines if (found := _EXIT.search(line))]
    if not exits:
        return None
    printed = [line.strip() for line in lines if line and not _NOISE.match(line) and not _JAVA_ERROR.search(line)]
    if printed:
        return printed[-1]
    if exits[-1] <= _SIGNALLED:
        return f"Python ended with exit code {exits[-1]} and said nothing"
    number = exits[-1] - _SIGNALLED
    known = number in set(signal.Signals)
    return f"Python was ended by {signal.Signals(number).name if known else f'signal {number}'}"


def _java_cause(lines: list[str]) -> str | None:
    """Return the innermost cause, in the words of a wrapper that repeats it and adds to it if there is one."""
    causes = [line.strip().removeprefix(_CAUSED_BY) for line in lines if line.strip().startswith(_CAUSED_BY)]
    if not causes:
        return next((line.strip() for line in lines if _JAVA_ERROR.match(line.strip())), None)
    message = causes[-1].partition(": ")[2]
    fuller = [each for each in causes if message and each.partition(": ")[2].startswith(f"{message}: ")]
    return (fuller or causes)[-1]
