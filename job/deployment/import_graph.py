"""The modules that one module reaches through imports, at its start or later, found by reading their text.

Nothing is imported. A call of `import_module` with a name made at run time adds the whole folder that it stands in,
because `f"{__package__}.{name}"` names modules of that folder.
"""

import ast
from collections.abc import Iterator
from importlib.util import resolve_name
from pathlib import Path

from model.errors import RecloopError

PACKAGES = ("job", "udfs", "model")
"""The project's own packages; imports of anything else are not followed."""
_BY_NAME = frozenset({"import_module", "__import__"})


class ShippingError(RecloopError):
    """The packages can't be shipped as they are."""


def reached(root: Path, entry: str) -> dict[str, str]:
    """Return the entry and each module that it imports, directly or through others, as path below the root -> text.

    Args:
        root: the folder that holds the packages.
        entry: a module, such as `job.main`.

    Raises:
        ShippingError: there is no such module, a file is not Python, or one of the packages is imported by a string.
    """
    if _file(root, entry) is None:
        msg = f"there is no {entry.replace('.', '/')}.py in {root}, the folder that holds the job's code"
        raise ShippingError(msg)
    texts: dict[Path, str] = {}
    todo = [entry]
    while todo:
        module = todo.pop()
        file = _file(root, module)
        if file is None or file in texts:
            continue
        texts[file] = file.read_text()
        # Python imports the packages around a module before it.
        parts = module.split(".")
        todo += [".".join(parts[:depth]) for depth in range(1, len(parts))]
        todo += _imported(texts[file], file, root)
    return {file.relative_to(root).as_posix(): texts[file] for file in sorted(texts)}


def _file(root: Path, module: str) -> Path | None:
    """Return the file of a module or of a package if it is one of ours, else None."""
    if module.partition(".")[0] not in PACKAGES:
        return None
    path = root.joinpath(*module.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


def _imported(text: str, file: Path, root: Path) -> list[str]:
    """Return imported names that may be modules: X and X.y for each `from X import y`, and those imported by call."""
    path = file.relative_to(root)
    package = ".".join(path.parent.parts)
    try:
        statements = list(_run_statements(ast.parse(text)))
    except SyntaxError as error:
        msg = f"{path.as_posix()}, line {error.lineno}: {error.msg}; it can't be shipped"
        raise ShippingError(msg) from error
    names: list[str] = []
    for node in statements:
        if isinstance(node, ast.ImportFrom):
            module = resolve_name("." * node.level + (node.module or ""), package)
            names += [module, *(f"{module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in _BY_NAME:
            names += _imported_by_name(node, file, root)
    return names


def _run_statements(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the node and all nodes in it, without those that only type checkers read."""
    yield node
    children: list[ast.AST] = list(ast.iter_child_nodes(node))
    if isinstance(node, ast.If) and ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}:
        children = list(node.orelse)
    for child in children:
        yield from _run_statements(child)


def _imported_by_name(node: ast.Call, file: Path, root: Path) -> list[str]:
    """Return the modules of the packages that a call of `import_module` may import."""
    name = node.args[0] if node.args else None
    if not isinstance(name, ast.Constant):
        modules = sorted(file.parent.rglob("*.py"))
        return [".".join(module.relative_to(root).with_suffix("").parts) for module in modules]
    if str(name.value).partition(".")[0] in PACKAGES:
        path = file.relative_to(root).as_posix()
        msg = f"{path}, line {node.lineno}: write {name.value!r} as from ... import ..., so that it can be shipped"
        raise ShippingError(msg)
    return []
