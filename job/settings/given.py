"""The sources of settings, apart from their defaults: each as nested values that are not validated yet."""

import json
import tomllib
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic_settings import BaseSettings, EnvSettingsSource
from pydantic_settings.exceptions import SettingsError as SettingsSourceError

from model.errors import RecloopError


class SettingsError(RecloopError):
    """A setting is unknown or has an impossible value; the message names it."""


class Origin(StrEnum):
    """The source that a setting's value comes from."""

    DEFAULT = "default"
    FILE = "file"
    ENVIRONMENT = "environment"
    OPTION = "option"
    DERIVED = "derived"
    """From another setting, as scoring.candidates from lists.length."""
    PRESET = "preset"
    """Fixed by `preset`, whatever is given."""


def of_sources(
    settings: type[BaseSettings], file: Path | None, overrides: Sequence[str]
) -> dict[Origin, dict[str, Any]]:
    """Return the values of each source; each wins over those before it.

    Raises:
        SettingsError: a source cannot be read.
    """
    return {
        Origin.FILE: of_toml(file),
        Origin.ENVIRONMENT: of_environment(settings),
        Origin.OPTION: of_overrides(overrides),
    }


def of_toml(file: Path | None) -> dict[str, Any]:
    """Return the values of a TOML file, one table per group; none without a file.

    Raises:
        SettingsError: there is no such file, or it is not TOML.
    """
    if file is None:
        return {}
    if not file.is_file():
        msg = f"no settings file {file}"
        raise SettingsError(msg)
    try:
        return tomllib.loads(file.read_bytes().decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        msg = f"{file} is no TOML file: {error}; give TOML in UTF-8, one table per group, as [lists] length = 20"
        raise SettingsError(msg) from error


def of_environment(settings: type[BaseSettings]) -> dict[str, Any]:
    """Return the values of environment variables such as RECLOOP_LISTS__LENGTH=20.

    Raises:
        SettingsError: a variable names no group, or its value is not JSON where JSON is needed.
    """
    source = EnvSettingsSource(settings)
    for name in source.env_vars:
        group, nested, _ = name.removeprefix("recloop_").partition("__")
        if name.startswith("recloop_") and nested and group not in settings.model_fields:
            meant = get_close_matches(group, settings.model_fields, 1)
            advice = f": did you mean {meant[0]}?" if meant else ""
            msg = f"{group}: there is no such group of settings, but a variable {name.upper()}{advice}"
            raise SettingsError(msg)
    try:
        return source()
    except SettingsSourceError as error:
        msg = f"RECLOOP_ variables: {error}: groups and lists are given as JSON"
        raise SettingsError(msg) from error


def of_overrides(overrides: Sequence[str]) -> dict[str, Any]:
    """Return the values of overrides "group.name=value", with each value as JSON or a plain word.

    Raises:
        SettingsError: an override has no "=" or no name, or a group is also given as one value.
    """
    values: dict[str, Any] = {}
    for override in overrides:
        key, equals, text = override.partition("=")
        parts = [part.strip() for part in key.split(".")]
        if not equals or not all(parts):
            msg = f"--set takes name=value, as lists.length=20, not {override!r}"
            raise SettingsError(msg)
        try:
            value: Any = json.loads(text)
        except (ValueError, RecursionError):
            value = text
        for part in reversed(parts):
            value = {part: value}
        for group, settings in value.items():
            if isinstance(values.get(group, settings), Mapping) != isinstance(settings, Mapping):
                msg = f"{group}: a group of settings, and given as one value too: give {group}.NAME=VALUE"
                raise SettingsError(msg)
        values = merge(values, value)
    return values


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Merge two nested mappings, group by group; of two values take the one above."""
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged
