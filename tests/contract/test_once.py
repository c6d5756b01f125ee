"""Mechanisms that are written once: each has one module, and everybody else imports it."""

import ast
from collections.abc import Callable
from functools import cache

import pytest

from job.deployment.shipping import PROJECT

ROOMS = ("job", "udfs", "model")
STANDARD_LIBRARY_ONLY = "job/cluster/supervisor.py"
"""It is run by its path, without the project."""
TIMES = {
    "udfs/model_serving/follow_models.py",
    "job/drills/slow_disk.py",
    "job/serving/follower.py",
    "job/serving/trending.py",
    "job/serving/running.py",
}
"""They note when something is due; the last waits on an event loop, which `model.waiting` would hold up."""


def _waits(node: ast.AST) -> bool:
    """A deadline: time.monotonic() + seconds."""
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add) and _named(node.left) == "time.monotonic()"


def _locks(node: ast.AST) -> bool:
    return _named(node) == "fcntl.flock"


def _puts_on_disk(node: ast.AST) -> bool:
    return _named(node) == "os.fsync"


def _moves_a_draft(node: ast.AST) -> bool:
    """x.replace(y) of a path: text is replaced by two arguments, a record's fields by keywords."""
    return (
        isinstance(node, ast.Call)
        and _named(node.func).endswith(".replace")
        and len(node.args) == 1
        and not node.keywords
    )


def _watches(node: ast.AST) -> bool:
    return _named(node) in {"os.pidfd_open", "signal.pidfd_send_signal"}


def _named(node: ast.AST) -> str:
    return ast.unparse(node) if isinstance(node, ast.Call | ast.Attribute) else ""


ONCE: dict[str, tuple[Callable[[ast.AST], bool], set[str]]] = {
    "waiting": (_waits, {"model/waiting.py", STANDARD_LIBRARY_ONLY, *TIMES}),
    "locking": (_locks, {"model/file_lock.py", STANDARD_LIBRARY_ONLY}),
    # Both append to files, which are never replaced, or name one later.
    "putting on disk": (_puts_on_disk, {"model/files.py", "job/deployment/append_log.py", "job/tables/compaction.py"}),
    "moving a draft": (_moves_a_draft, {"model/files.py", STANDARD_LIBRARY_ONLY, "job/cluster/layout.py"}),  # old logs
    "watching a parent": (_watches, {"model/parent_watch.py"}),
}


@pytest.mark.parametrize("mechanism", ONCE)
def test_a_mechanism_is_written_in_its_own_module_only(mechanism: str) -> None:
    shows, homes = ONCE[mechanism]
    found = {path for path, nodes in parsed() if any(map(shows, nodes))}
    assert found == homes


@cache
def parsed() -> tuple[tuple[str, tuple[ast.AST, ...]], ...]:
    """All modules of the rooms, with their syntax."""
    paths = [path for room in ROOMS for path in sorted((PROJECT / room).rglob("*.py"))]
    return tuple((str(path.relative_to(PROJECT)), tuple(ast.walk(ast.parse(path.read_text())))) for path in paths)
