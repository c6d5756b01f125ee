"""`recloop models` and `recloop train --register`: what a user sees, and that what is refused says why."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from job.cli import app
from model.datasets.generate import Synthetic, generate
from model.registry.registry import Registry
from tests.unit.model.tiny_bundle import NAME, write_tiny

pytestmark = pytest.mark.heavy


@pytest.fixture(autouse=True)
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """The one that the environment names, with versions 1 and 2."""
    monkeypatch.setenv("RECLOOP_REGISTRY", str(tmp_path / "registry"))
    registry = Registry(tmp_path / "registry")
    for version in ("1", "2"):
        registry.register(write_tiny(tmp_path / version, version).path)
    return registry


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.output


def asked(*arguments: object) -> dict[str, Any]:
    code, output = run(*arguments, "--json")
    assert code == 0, output
    found: dict[str, Any] = json.loads(output[output.index("{") :])
    return found


def test_a_version_is_registered_promoted_and_rolled_back(tmp_path: Path) -> None:
    assert asked("models", "register", write_tiny(tmp_path / "3", "3").path)["id"] == "3"
    assert asked("models", "promote", NAME, "1")["current"]["id"] == "1"
    assert asked("models", "candidate", NAME, "3")["candidate"]["id"] == "3"
    assert asked("models", "promote", NAME)["current"]["id"] == "3"
    assert asked("models", "rollback", NAME)["current"]["id"] == "1"
    assert asked("models", "show", NAME)["manifest"]["version"] == "1"


def test_the_list_marks_where_the_pointers_are(registry: Registry) -> None:
    registry.promote(NAME, "2")
    rows = asked("models", "list")[NAME]["versions"]
    assert [(row["id"], row["pointer"]) for row in rows] == [("1", None), ("2", "current")]
    assert "current" in run("models", "list")[1]


def test_the_list_marks_a_version_though_another_is_promoted_meanwhile(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.promote(NAME, "1")
    moves = iter([write_tiny(tmp_path / "3", "3").path])

    def followed_by_a_move(read: Callable[[Registry, str], Any]) -> Callable[[Registry, str], Any]:
        def answer(self: Registry, name: str) -> Any:
            found = read(self, name)
            for bundle in moves:
                registry.promote(NAME, registry.register(bundle).id)
            return found

        return answer

    for read in (Registry.versions, Registry.pointers):
        monkeypatch.setattr(Registry, read.__name__, followed_by_a_move(read))
    rows = asked("models", "list")[NAME]["versions"]
    assert [(row["id"], row["pointer"]) for row in rows] == [("1", "current"), ("2", None), ("3", None)]


def test_the_list_says_why_a_version_cannot_be_used(tmp_path: Path) -> None:
    manifest = tmp_path / "registry" / NAME / "1" / "manifest.json"
    manifest.write_bytes(manifest.read_bytes().replace(b'"contract_version": 1', b'"contract_version": 2'))
    first, second = asked("models", "list")[NAME]["versions"]
    assert "contract version 2" in first["problem"]
    assert "problem" not in second
    assert run("models", "list")[0] == 0


def test_no_candidate_is_left_after_none(registry: Registry) -> None:
    registry.set_candidate(NAME, "1")
    assert asked("models", "candidate", NAME, "--none")["candidate"] is None
    assert run("models", "candidate", NAME)[0] == 2


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["promote", "nobody"], "no model 'nobody'"),
        (["promote", NAME, "9"], "no version '9'"),
        (["rollback", NAME], "nothing to roll back to"),
        (["show", NAME], "no current version"),
        (["list", "--registry", "nothing://x"], "cannot be opened"),
    ],
)
def test_what_is_refused_says_why(arguments: list[str], reason: str) -> None:
    code, output = run("models", *arguments)
    assert code == 1
    assert reason in output


def test_a_corrupt_bundle_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "1" / "model.pt").write_bytes(b"broken")
    code, output = run("models", "register", tmp_path / "1", "--name", "other")
    assert (code, "model.pt is corrupt" in output) == (1, True)


def test_what_was_trained_is_registered_and_current_where_nothing_was(tmp_path: Path) -> None:
    generate(Synthetic(users=40, items=20, behaviors=800), tmp_path / "data" / "mine", "mine")
    folders = ("--data-dir", tmp_path / "data", "--out", tmp_path / "mine")
    told = asked("train", "mine", "--recommender", "popularity", *folders, "--register")
    assert (told["registered"]["pointer"], told["registered"]["revision"]) == ("current", 1)
    assert Registry(tmp_path / "registry").find("mine", "current").hash == told["hash"]


@pytest.mark.parametrize("content", [b"", b"[]", b'{"current": "\xff"}', b'{"x": ' + b"[" * 100_000])
def test_damaged_pointers_of_a_model_hide_no_other(content: bytes, registry: Registry, tmp_path: Path) -> None:
    registry.register(write_tiny(tmp_path / "3", "3").path, "other")
    damaged = tmp_path / "registry" / "other" / "pointers.json"
    damaged.write_bytes(content)
    for form in ([], ["--json"]):
        result = CliRunner().invoke(app, ["models", "list", *form])
        assert (result.exit_code, NAME in result.stdout) == (1, True)
        assert f"{damaged} cannot be understood" in result.stderr
        assert "recloop models promote other VERSION" in result.stderr
