"""The options written after a recommender's name, `item-cf:decay=0.8:neighbors=100`, and their effect on settings."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, TypeVar

from model.errors import RecloopError

Options = Mapping[str, int | float]
Settings = TypeVar("Settings")


class OptionError(RecloopError, ValueError):
    """An option that is written wrongly or does not exist."""


def parse_options(written: list[str]) -> Options:
    """Parse `name=value` parts.

    Raises:
        OptionError: one has no name or no number.
    """
    return dict(_parsed(part) for part in written)


def laid_over(settings: Settings, options: Options) -> Settings:
    """Return a dataclass with its fields overridden by the options of the same name; ignore the other options.

    Raises:
        OptionError: a field is a whole number, and its option is not.
    """
    known: Any = settings
    defaults = {field.name: getattr(settings, field.name) for field in fields(known)}
    changed = {name: _fitting(name, value, defaults[name]) for name, value in options.items() if name in defaults}
    laid: Settings = replace(known, **changed)
    return laid


def fields_of(*settings: object) -> dict[str, Any]:
    """Return name -> value of the fields of some dataclasses."""
    parts: Any = settings
    return {field.name: getattr(part, field.name) for part in parts for field in fields(part)}


def refuse_unknown(options: Options, known: Mapping[str, Any]) -> None:
    """Raise OptionError for an option that is not in `known`, name -> default; its message lists the known ones."""
    if unknown := sorted(set(options) - set(known)):
        there = ", ".join(name if value is None else f"{name}={value}" for name, value in known.items())
        msg = f"there is no option {unknown[0]!r} here; there are, with their defaults, {there}"
        raise OptionError(msg)


def _parsed(part: str) -> tuple[str, int | float]:
    name, _, value = part.partition("=")
    try:
        return name, int(value) if value.removeprefix("-").isdigit() else float(value)
    except ValueError as error:
        msg = f"{part!r} is no option; write NAME:OPTION=NUMBER, for example item-cf:decay=0.8"
        raise OptionError(msg) from error


def _fitting(name: str, value: float, default: object) -> int | float:
    if isinstance(default, float):
        return float(value)
    if value != int(value):
        msg = f"{name} is a whole number, not {value}"
        raise OptionError(msg)
    return int(value)
