"""How the commands print: text of users is shown, never obeyed, and errors stop a command in one sentence.

Every command prints by what is here, as the linter sees to: a title or an id may hold what a terminal takes for an
order, such as "erase the screen".
"""

import json
import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from job.tables.formats import Values

_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]|\r(?!\n)")


def shown(text: str) -> str:
    """Return text of users for a terminal: control characters, which it would obey, are spelled as in JSON."""
    return _CONTROLS.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


class Screen(Console):
    """A console that spells out control characters in whatever it is given."""

    def render_str(self, text: str, **more: Any) -> Text:
        """Return the text with its markup read."""
        return super().render_str(shown(text), **more)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield the pieces of what is to be printed; parts of it, such as cells of tables, come here too."""
        if isinstance(renderable, Text) and (plain := shown(renderable.plain)) != renderable.plain:
            renderable = renderable.copy()
            renderable.plain = plain
        return super().render(renderable, options)


def say(text: object, *, err: bool = False, color: str | None = None) -> None:
    """Print a line."""
    typer.secho(shown(str(text)), err=err, fg=color)


def print_json(value: Mapping[str, object]) -> None:
    """Print one JSON object to standard output; NaN and infinities, which JSON lacks, as texts, and say so."""
    values = Values()
    say(json.dumps(values.plain(value), indent=2, default=dict))
    for warning in values.warnings():
        warn(warning)


def warn(text: str) -> None:
    """Say on a line of standard error what is not as it should be."""
    say(f"warning: {text}", err=True)


class _Warnings(logging.Handler):
    """What readers of the tables log: every command that reads one says what it left out."""

    def emit(self, record: logging.LogRecord) -> None:
        warn(record.getMessage())


logging.getLogger("job.tables").addHandler(_Warnings())


@contextmanager
def stop_on(*errors: type[Exception]) -> Iterator[None]:
    """Turn expected errors into a message on standard error and exit code 1."""
    try:
        yield
    except errors as error:
        say(f"Error: {error}", err=True, color=typer.colors.RED)
        raise typer.Exit(1) from error
