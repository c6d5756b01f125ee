"""The output of commands: text of users is shown, never obeyed, and an error stops a command in one sentence.

Every command prints through this module, which the linter enforces: a title or an id may hold a sequence that a
terminal obeys, such as "erase the screen".
"""

import json
import logging
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.segment import Segment
from rich.status import Status
from rich.text import Text

from job.tables.formats import Values

_PIPE_WIDTH = 1_000_000
"""The width of what goes to a program or a file: no cell is cut, and no line is folded."""
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]|\r(?!\n)")


def shown(text: str) -> str:
    """Return text of users for a terminal, with control characters, which it would obey, spelled as in JSON."""
    return _CONTROLS.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


class _PlainStatus(Status):
    """A spinner whose texts are no markup."""

    def update(self, status: RenderableType | None = None, **more: Any) -> None:
        """Show another text."""
        super().update(Text(status) if isinstance(status, str) else status, **more)


class Screen(Console):
    """A console that shows text as it is: without markup, with control characters spelled out, and whole.

    What a terminal has no room for is folded or cut; to a program or a file all is written as it is.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, **options)
        if "width" not in options and not self.file.isatty():
            self.width = _PIPE_WIDTH

    def status(self, status: RenderableType, **more: Any) -> Status:
        """Return a spinner with a text."""
        return _PlainStatus(Text(status) if isinstance(status, str) else status, console=self, **more)

    def bar(self, *, remaining: bool = False, transient: bool = False) -> Progress:
        """Return a progress bar that shows the time taken or, if `remaining`, the time left."""
        time = TimeRemainingColumn() if remaining else TimeElapsedColumn()
        return Progress(label(), BarColumn(), MofNCompleteColumn(), time, console=self, transient=transient)

    def render_str(self, text: str, **more: Any) -> Text:
        """Return the text of a string, which is no markup."""
        return super().render_str(shown(text), **more)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield the segments of an object to print; its parts, such as cells of tables, come here too."""
        if isinstance(renderable, Text) and (plain := shown(renderable.plain)) != renderable.plain:
            renderable = renderable.copy()
            renderable.plain = plain
        return super().render(renderable, options)


def label(form: str = "{task.description}") -> TextColumn:
    """Return the column of a progress bar that shows its task's text, which is no markup."""
    return TextColumn(form, markup=False)


def print_line(text: object, *, err: bool = False, color: str | None = None) -> None:
    """Print a line."""
    typer.secho(shown(str(text)), err=err, fg=color)


def figure(value: float, places: int = 4, sign: str = "") -> str:
    """Return a measured figure as text; one that was not measured, NaN, is a dash."""
    return "-" if math.isnan(value) else f"{value:{sign}.{places}f}"


def print_json(value: Mapping[str, object]) -> None:
    """Print one JSON object to standard output.

    NaN, a figure that was not measured, becomes null; infinities, which JSON lacks too, become texts with a warning.
    """
    values = Values()
    print_line(json.dumps(values.plain(_measured(value)), indent=2, default=dict))
    for warning in values.warnings():
        warn(warning)


def _measured(value: object) -> object:
    """Return a value with null in place of each NaN in it."""
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, list | tuple):
        return [_measured(each) for each in value]
    if isinstance(value, Mapping):
        return {key: _measured(each) for key, each in value.items()}
    return value


def warn(text: str) -> None:
    """Print a warning as a line on standard error."""
    print_line(f"warning: {text}", err=True)


class _Warnings(logging.Handler):
    """The handler for the log of table readers: every command that reads a table prints what it left out."""

    def emit(self, record: logging.LogRecord) -> None:
        warn(record.getMessage())


logging.getLogger("job.tables").addHandler(_Warnings())


@contextmanager
def stop_on(*errors: type[Exception]) -> Iterator[None]:
    """Turn expected errors into a message on standard error and exit code 1."""
    try:
        yield
    except errors as error:
        print_line(f"Error: {error}", err=True, color=typer.colors.RED)
        raise typer.Exit(1) from error
