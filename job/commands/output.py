"""How the commands print a result, and how they stop with a message instead of a traceback."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import typer


def print_json(value: Mapping[str, object]) -> None:
    """Prints one JSON object to standard output."""
    typer.echo(json.dumps(value, indent=2, default=dict))


@contextmanager
def stop_on(*errors: type[Exception]) -> Iterator[None]:
    """Turns expected errors into a message on standard error and exit code 1."""
    try:
        yield
    except errors as error:
        typer.secho(f"Error: {error}", err=True, fg=typer.colors.RED)
        raise typer.Exit(1) from error
