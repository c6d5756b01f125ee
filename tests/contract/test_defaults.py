"""A default is written once: the settings' is the only one of what they fill."""

import ast
import inspect
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest

from job.deployment.shipping import PROJECT
from job.settings.job_settings import JobSettings

SOURCES = {"BundleFallbacks", "FileLog", "Variant"}
"""What is read and served: made by whoever reads or serves, without settings too."""


def filled() -> Iterator[tuple[str, ast.Call, Any]]:
    """Each place where the topology makes a record of the operators', with that record."""
    for path in sorted((PROJECT / "job" / "topology").glob("*.py")):
        nodes = list(ast.walk(ast.parse(path.read_text())))
        homes = dict(home for node in nodes if isinstance(node, ast.ImportFrom) for home in imported(node))
        for node in nodes:
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in homes:
                made = getattr(import_module(homes[node.func.id]), node.func.id)
                if is_dataclass(made) and node.func.id not in SOURCES:
                    yield node.func.id, node, made


def imported(node: ast.ImportFrom) -> Iterator[tuple[str, str]]:
    """The names that a module imports from the operators, with theirs."""
    module = node.module or ""
    return ((alias.name, module) for alias in node.names if module.startswith("udfs."))


FILLED = {name: (call, made) for name, call, made in filled()}


def test_the_operators_rules_are_found() -> None:
    rules = {name for name in FILLED if name.endswith("Rules")}
    assert len(rules) >= 9
    assert {"ListRules", "ParsingRules", "ProfileRules", "ScoringRules"} <= rules


@pytest.mark.parametrize("name", FILLED)
def test_what_settings_fill_is_filled_by_name_and_has_no_default_of_its_own(name: str) -> None:
    call, made = FILLED[name]
    given = {keyword.arg for keyword in call.keywords}
    with_default = {
        field.name for field in fields(made) if field.default is not MISSING or field.default_factory is not MISSING
    }
    assert call.args == []
    assert None not in given
    assert given & with_default == set()


def test_no_rules_have_a_default_of_a_setting_s_name() -> None:
    settings = {name for group in groups() for name in type(group).model_fields}
    twice = {
        f"{cls.__name__}.{field.name}"
        for module in modules("udfs")
        for cls in vars(module).values()
        if inspect.isclass(cls) and is_dataclass(cls) and cls.__name__.endswith("Rules")
        for field in fields(cls)
        if field.default is not MISSING and field.name in settings
    }
    assert twice == set()


def groups() -> Iterator[Any]:
    """The groups of settings that have defaults for all."""
    return (field.default for field in JobSettings.model_fields.values() if hasattr(field.default, "model_fields_set"))


def modules(room: str) -> Iterator[ModuleType]:
    for path in sorted((PROJECT / room).rglob("*.py")):
        yield import_module(".".join(path.relative_to(PROJECT).with_suffix("").parts).removesuffix(".__init__"))
