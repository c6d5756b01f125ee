"""The exit of every command: whatever ends it, the user reads one sentence and the shell gets a code.

    1     something a user or a cluster caused; the text names it, and what to do
    2     the command was called wrongly (Typer's own)
    130   Ctrl-C
    141   the reader of the output is gone (`| head -1`), the code that a shell gives for SIGPIPE

A fault of the program keeps its traceback. That is any error except a `RecloopError`, an error of the operating system,
too little memory, and data that cannot be read in its format.
"""

import errno
import json
import os
import re
import select
import sys
import tomllib
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import msgspec
import pydantic
import typer
from typer.core import TyperGroup

from job.commands.output import print_line
from model.errors import RecloopError

_ADVICE = {
    errno.ENOENT: "give one that is there",
    errno.EACCES: "get the right to it, or give another",
    errno.EPERM: "get the right to it, or give another",
    errno.EROFS: "give one that can be written",
    errno.EISDIR: "give a file",
    errno.ENOTDIR: "give a folder; a part of that path is a file",
    errno.EEXIST: "give another one",
    errno.ENAMETOOLONG: "give a shorter name",
    errno.EBADF: "where standard output is not wanted, send it to /dev/null instead of closing it",
    errno.ENOSPC: "make room on the disk",
    errno.EDQUOT: "make room on the disk",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "close programs with many open files",
    errno.ELOOP: "give one that is no circle of links",
    errno.EXDEV: "give one on the same file system",
    errno.EBUSY: "wait for who uses it, or give another",
}
_UNREADABLE = (
    msgspec.MsgspecError,
    pydantic.ValidationError,
    json.JSONDecodeError,
    tomllib.TOMLDecodeError,
    UnicodeError,
    EOFError,
    zlib.error,
)
"""The errors raised if the content of a file or an answer is damaged or of another format."""
_INTERRUPTED = 130
_NO_READER = 141


class Root(TyperGroup):
    """The group of all commands, each of which ends through `exit_in_one_sentence`."""

    def main(self, *args: Any, **more: Any) -> Any:
        """Run the command line, help included, and make sure that its output was written."""
        _open_standard_streams()
        with _whole_output():
            return super().main(*args, **more)

    def invoke(self, ctx: Any) -> Any:
        """Run the requested command."""
        with exit_in_one_sentence():
            return super().invoke(ctx)


@contextmanager
def exit_in_one_sentence() -> Iterator[None]:
    """Turn an error that a user or a cluster caused into one sentence on standard error and an exit code."""
    try:
        yield
    except KeyboardInterrupt:
        _print_error("Stopped.")
        raise typer.Exit(_INTERRUPTED) from None
    except (RecloopError, OSError, MemoryError, RuntimeError, *_UNREADABLE) as error:
        if isinstance(error, BrokenPipeError) and _is_reader_gone():
            _forget_output()
            raise typer.Exit(_NO_READER) from None
        # pathlib raises a RuntimeError for a circle of links; from Python 3.13 on it is an OSError.
        is_link_loop = str(error).startswith("Symlink loop")
        is_known = isinstance(error, RecloopError) or is_link_loop or _is_out_of_memory(error)
        if isinstance(error, RuntimeError) and not is_known:
            raise
        _forget_output()
        _print_error(f"Error: {_sentence_of(error)}", color=typer.colors.RED)
        raise typer.Exit(1) from error


@contextmanager
def _whole_output() -> Iterator[None]:
    """Flush standard output at the end; if that or an earlier write failed, exit with the right code.

    Typer and rich exit with 1 if nobody reads, and Python prints "Exception ignored" and exits with 120 if its own last
    flush fails.
    """
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):
            _forget_output()
            sys.exit(_NO_READER)
        raise
    except BrokenPipeError:
        _forget_output()
        sys.exit(_NO_READER)
    except OSError as error:
        _forget_output()
        _print_error(f"Error: {_sentence_of(error)}", color=typer.colors.RED)
        sys.exit(1)


def _open_standard_streams() -> None:
    """Open /dev/null in place of closed streams (`>&-`), so that no other file gets their numbers.

    Standard output is opened without write access, so that a command that prints fails, as programs of the shell do,
    and one that has nothing to print does not.
    """
    for name, mode in (("stdin", os.O_RDONLY), ("stdout", os.O_RDONLY), ("stderr", os.O_WRONLY)):
        if getattr(sys, name) is None:
            number = os.open(os.devnull, mode)
            os.set_inheritable(number, True)
            setattr(sys, name, os.fdopen(number, "r" if name == "stdin" else "w"))


def _is_reader_gone() -> bool:
    """Return True if standard output or error is broken, rather than a connection."""
    poll = select.poll()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            poll.register(stream.fileno(), 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def _print_error(text: str, color: str | None = None) -> None:
    """Print a line on standard error, if that can be written to."""
    with suppress(OSError):
        print_line(text, err=True, color=color)


def _sentence_of(error: Exception) -> str:
    """Return the fault and the advice for an error; on one line unless it is one of ours."""
    if isinstance(error, RecloopError):
        return str(error)
    if isinstance(error, UnicodeEncodeError) and error.encoding.lower() not in {"utf-8", "utf8"}:
        return f"the terminal's encoding, {error.encoding}, cannot show all of it: set PYTHONIOENCODING=utf-8"
    if isinstance(error, _UNREADABLE):
        return f"what was read is damaged or of another program or version: {_one_line(error)}; make it again"
    if _is_out_of_memory(error):
        reason = _one_line(error) or "it is full"
        return f"the memory does not suffice ({reason}); ask for less, or take a larger machine"
    if isinstance(error, OSError) and error.strerror:
        file = error.filename
        name = os.fsdecode(file) if isinstance(file, bytes | os.PathLike) else str(file)
        shortened = name if len(name) <= 200 else f"{name[:100]}…{name[-80:]}"
        advice = _ADVICE.get(error.errno or 0, "try again, or give another file or address")
        return f"{'' if file is None else f'{shortened}: '}{error.strerror}; {advice}"
    return f"{_one_line(error) or type(error).__name__}; try again, or give another file or address"


def _is_out_of_memory(error: Exception) -> bool:
    """Return whether Python, or torch, for whose allocators it is a RuntimeError, has no more memory."""
    from_torch = isinstance(error, RuntimeError) and ("allocate memory" in str(error) or "out of memory" in str(error))
    return isinstance(error, MemoryError) or from_torch


def _one_line(error: Exception) -> str:
    return re.sub(r"\s+", " ", str(error)).strip()[:400]


def _forget_output() -> None:
    """Drop output that a stream does not take; Python flushes it once more at its end, which would fail again.

    /dev/null takes the descriptor over in one step, as a thread that opens a file could get its number in between. Only
    where no other descriptor is left is it closed first.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
            continue
        with suppress(OSError, ValueError):
            number = stream.fileno()
            try:
                nowhere = os.open(os.devnull, os.O_WRONLY)
            except OSError:
                os.close(number)
                nowhere = os.open(os.devnull, os.O_WRONLY)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
