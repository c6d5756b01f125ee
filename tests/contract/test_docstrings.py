"""A docstring begins with what the thing is or does, and not with a clause about it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from job.deployment.import_graph import PACKAGES
from job.deployment.shipping import PROJECT

_CLAUSE = re.compile(r"(what|who|whose|how|whether|where|which|when|while|why|as|of|if|that)\b", re.IGNORECASE)


@pytest.mark.parametrize("package", PACKAGES)
def test_no_docstring_begins_with_a_relative_clause(package: str) -> None:
    """The mood of functions' first lines is the linter's: D401."""
    found = [each for file in sorted((PROJECT / package).rglob("*.py")) for each in docstrings(file)]
    assert len(found) > 500
    assert [f"{where}: {text.splitlines()[0]}" for where, text in found if _CLAUSE.match(text)] == []


def docstrings(file: Path) -> Iterator[tuple[str, str]]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and (
            text := ast.get_docstring(node)
        ):
            yield f"{file.relative_to(PROJECT)} {getattr(node, 'name', '')}", text
