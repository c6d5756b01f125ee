"""Compose files as Docker Compose would read them: variables filled in, later files laid over earlier ones."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")
_REPLACED = ("command", "entrypoint")


def load(files: Sequence[Path], variables: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The project that `docker compose -f A -f B` would run.

    Raises:
        KeyError: a variable has neither a value nor a default.
    """
    project: dict[str, Any] = {}
    for file in files:
        project = _laid_over(project, yaml.safe_load(file.read_text()))
    return dict(_filled({key: value for key, value in project.items() if not key.startswith("x-")}, variables or {}))


def _laid_over(below: Any, above: Any, key: str = "") -> Any:
    if isinstance(below, dict) and isinstance(above, dict):
        return below | {name: _laid_over(below.get(name), value, name) for name, value in above.items()}
    if isinstance(below, list) and isinstance(above, list) and key not in _REPLACED:
        return [*below, *above]
    return above


def _filled(value: Any, variables: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _filled(each, variables) for key, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, variables) for each in value]
    return _VARIABLE.sub(lambda found: _value(found, variables), value) if isinstance(value, str) else value


def _value(found: re.Match[str], variables: Mapping[str, str]) -> str:
    name, default = found[1], found[2]
    return variables.get(name) or (variables[name] if default is None else default)
