"""The options written after a recommender's name, `item-cf:decay=0.8:neighbors=100`, and their effect on settings."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Any, TypeVar

from model.errors import RecloopError

Options = Mapping[str, int | float]
Settings = TypeVar("Settings")


@dataclass(frozen=True, slots=True)
class Bounds:
    """The least and the largest value of an option."""

    least: float
    most: float


_SHARE = Bounds(0, 1)
_FACTOR = Bounds(0, 1_000_000)
_PENALTY = Bounds(0, 1_000_000_000)
_COUNT = Bounds(1, 1_000_000)

BOUNDS: Mapping[str, Bounds] = MappingProxyType(
    {
        "history_length": Bounds(0, 100_000),
        "dim": Bounds(1, 65_536),
        "layers": Bounds(1, 1_000),
        "k": _COUNT,
        "epochs": _COUNT,
        "batch_size": Bounds(1, 1_000_000_000),
        "learning_rate": Bounds(0, 1_000),
        "weight_decay": Bounds(0, 1_000),
        "negatives": Bounds(0, 1_000_000_000),
        "dropout": _SHARE,
        "decay": _SHARE,
        "hidden": _SHARE,
        "steps": _SHARE,
        "alpha": _FACTOR,
        "scale": _FACTOR,
        "gru": _FACTOR,
        "slit": _FACTOR,
        "als": _FACTOR,
        "l2": _PENALTY,
        "shrink": _PENALTY,
        "half_life_days": Bounds(1e-6, 1_000_000_000),
        "neighbors": _COUNT,
        "power": Bounds(0, 10),
        "reach": _COUNT,
    }
)
"""The bounds of every option of every kind, by its name; a kind that differs says so (`RecommenderSpec.bounds`)."""


class OptionError(RecloopError, ValueError):
    """An option that is written wrongly or does not exist."""


def parse_options(written: list[str]) -> Options:
    """Parse `name=value` parts.

    Raises:
        OptionError: one has no name or no number, or is there twice.
    """
    parsed: dict[str, int | float] = {}
    for part in written:
        name, _, text = part.partition("=")
        try:
            value = int(text) if text.removeprefix("-").isdigit() else float(text)
        except ValueError as error:
            msg = f"{part!r} is no option; write NAME:OPTION=NUMBER, for example item-cf:decay=0.8"
            raise OptionError(msg) from error
        if name in parsed:
            msg = f"the option {name} is there twice, as {parsed[name]} and as {value}: leave one out"
            raise OptionError(msg)
        parsed[name] = value
    return parsed


def refuse_outside(options: Options, bounds: Mapping[str, Bounds]) -> None:
    """Raise OptionError for the first option that is outside the bounds of its name; NaN is outside of all."""
    for name, value in options.items():
        if (bound := bounds.get(name)) is not None and not bound.least <= value <= bound.most:
            msg = f"{name} is {bound.least:,} to {bound.most:,}, not {value}"
            raise OptionError(msg)


def laid_over(settings: Settings, options: Options) -> Settings:
    """Return a dataclass with its fields overridden by the options of the same name; ignore the other options.

    Raises:
        OptionError: a field is a whole number, and its option is not.
    """
    known: Any = settings
    defaults = {field.name: getattr(settings, field.name) for field in fields(known)}
    changed: dict[str, int | float] = {}
    for name, value in options.items():
        if name not in defaults:
            continue
        is_float = isinstance(defaults[name], float)
        if not is_float and (not math.isfinite(value) or value != int(value)):
            msg = f"{name} is a whole number, not {value}"
            raise OptionError(msg)
        changed[name] = float(value) if is_float else int(value)
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
