"""No command reads text of users as rich's markup: what is put into a printed f-string is escaped or a number."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import job

ROOT = Path(job.__file__).parent
SHOWN = {
    "print",
    "status",
    "update",
    "reset",
    "add_row",
    "add_column",
    "add_task",
    "Table",
    "RichTable",
    "Column",
    "Panel",
}
"""Calls whose texts rich reads as markup, unless they say markup=False."""
SAFE = {"escape", "Text", "assemble"}
"""What is made by them, rich does not read as markup."""


def name_of(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def values(node: ast.AST) -> Iterator[ast.FormattedValue]:
    """Yield what the f-strings of an expression show as it is."""
    if isinstance(node, ast.Call) and name_of(node) in SAFE:
        return
    if isinstance(node, ast.FormattedValue):
        if is_safe(node):
            return
        yield node
    for child in ast.iter_child_nodes(node):
        yield from values(child)


def is_safe(value: ast.FormattedValue) -> bool:
    """Whether it is a number, which has a format, or escaped, or a choice between texts of the program."""
    inner = value.value
    if isinstance(inner, ast.IfExp):
        return all(isinstance(each, ast.Constant) for each in (inner.body, inner.orelse))
    return value.format_spec is not None or (isinstance(inner, ast.Call) and name_of(inner) in SAFE)


def faults(source: str) -> list[str]:
    """Return each value that is shown as it is, with its line."""
    found = []
    for call in ast.walk(ast.parse(source)):
        if not isinstance(call, ast.Call) or name_of(call) not in SHOWN:
            continue
        if any(each.arg == "markup" and getattr(each.value, "value", True) is False for each in call.keywords):
            continue
        given = [*call.args, *(each.value for each in call.keywords)]
        found += [f"{value.lineno}: {ast.unparse(value.value)}" for each in given for value in values(each)]
    return found


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ('console.print(f"in {path}")', 1),
        ('table.add_row(f"{a:,}", f"{b}")', 1),
        ('Table(title=f"of {name}")', 1),
        ('console.print(f"in {escape(path)}: {n:,}")', 0),
        ('console.print(Text(f"in {path}"))', 0),
        ('console.print(f"in {path}", markup=False)', 0),
        ('typer.echo(f"in {path}")', 0),
    ],
)
def test_faults_are_found(source: str, count: int) -> None:
    assert len(faults(source)) == count


@pytest.mark.parametrize("file", sorted(ROOT.rglob("*.py")), ids=lambda file: str(file.relative_to(ROOT)))
def test_no_text_of_users_is_shown_as_markup(file: Path) -> None:
    source = file.read_text()
    assert "rich" not in source or not faults(source)
