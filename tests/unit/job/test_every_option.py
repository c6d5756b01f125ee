"""Every option of every command that takes a text or a path, given what it cannot use: never a traceback or markup."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from job.cli import app
from model.datasets.generate import Synthetic, generate
from tests.unit.model.tiny_bundle import write_tiny
from tests.unit.tables.rows import HOUR, behavior, commit

pytestmark = pytest.mark.heavy
LEFT_OUT = {
    "demo": "starts a cluster",
    "cluster start": "starts a cluster",
    "kafka start": "starts a broker",
    "kafka connector": "takes nothing, and fetches",
    "ope open-bandit": "fetches",
    "drill": "starts clusters",
    "bench": "starts clusters",
    "config table": "takes nothing",
}
RIGHT: dict[str, str] = {
    "cluster status": "",
    "cluster stop": "",
    "kafka stop": "",
    "kafka topics": "",
    "kafka lag": "group",
    "data prepare": "jsonl --path log.jsonl --name x",
    "data generate": "--users 3 --items 3 --tastes 2 --behaviors 9 --out made",
    "data show": "./set",
    "train": "./set --recommender popularity --k 10 --out made",
    "evaluate": "./set --recommender popularity --protocol time-split",
    "models register": "bundle",
    "models list": "",
    "models show": "tiny",
    "models promote": "tiny 1",
    "models candidate": "tiny 1",
    "models rollback": "tiny",
    "learn": "--once --set models.url=registry --set models.name=tiny --set log.folder=log",
    "compress": "bundle ./set",
    "deploy": "",
    "upgrade": "",
    "rollback": "",
    "gc": "",
    "savepoint take": "",
    "savepoint list": "",
    "savepoint remove": "savepoint",
    "config show": "--set lists.policy=history",
    "config check": "settings.toml",
    "config diff": "settings.toml",
    "status": "",
    "doctor": "",
    "replay": "./set --log made",
    "sql": "select(1) --tables-dir tables",
    "lists": "u --tables-dir tables",
    "checkpoint list": "tables",
    "checkpoint show": "tables",
    "checkpoint diff": "tables tables",
    "explain": "u",
    "score": "./set --bundle bundle --out made",
    "serve": "--seconds 0.1 --port 0 --set publish.lists_folder=lists --set log.folder=log",
    "ab report": "--tables-dir tables",
    "ope lists": "--tables-dir tables",
    "compact": "tables",
}
"""Words with which each would do something, in a folder where `there` put what they name."""
MARKUP = "[red]zork[/red] [/]"
GIVEN = {"markup": MARKUP, "missing": "été et [/b]/none", "file": "a file", "folder": "a folder"}


def commands(group: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        words = f"{before}{name}"
        yield from commands(command, f"{words} ") if hasattr(command, "commands") else [(words, command)]


def takes_text(parameter: Any) -> bool:
    return parameter.type_descriptor.annotation not in {int, float, bool}


COMMANDS = dict(commands(get_command(app)))
CASES = [
    pytest.param(words, parameter, id=f"{words} {parameter.name}")
    for words, command in COMMANDS.items()
    if words not in LEFT_OUT
    for parameter in command.params
    if takes_text(parameter) and parameter.name != "help"
]


def test_every_command_is_tried_or_left_out_for_a_reason() -> None:
    assert {*RIGHT, *LEFT_OUT} == set(COMMANDS)
    assert len(CASES) > 90


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    generate(Synthetic(users=9, items=20, behaviors=200, tastes=3), tmp_path / "set", "set")
    write_tiny(tmp_path / "bundle", "1")
    commit(tmp_path / "tables" / "user_behavior" / HOUR, "part-a-0", [behavior(0, user="u", item="i1")])
    (tmp_path / "log.jsonl").write_text('{"user_id":"u","action":"click","item_id":"i","timestamp":1700000000000}\n')
    (tmp_path / "settings.toml").write_text('[lists]\npolicy = "history"\n')
    (tmp_path / "a file").write_text("x")
    (tmp_path / "a folder").mkdir()
    (tmp_path / "a folder" / "somebody's").write_text("x")
    return tmp_path


def words_with(words: str, parameter: Any, value: str) -> list[str]:
    """Return the command's words with one of them replaced, or with one option more."""
    right = RIGHT[words].split()
    if parameter.param_type_name == "option":
        return [*words.split(), *right, parameter.opts[0], value]
    arguments = [each.name for each in COMMANDS[words].params if each.param_type_name == "argument"]
    place = arguments.index(parameter.name)
    return [*words.split(), *right[:place], value, *right[place + 1 :]]


@pytest.mark.parametrize(("words", "parameter"), CASES)
def test_what_an_option_cannot_use_ends_in_a_sentence_with_the_text_as_it_is(
    words: str, parameter: Any, there: Path
) -> None:
    for value in GIVEN.values():
        result = CliRunner().invoke(app, words_with(words, parameter, value), env={"COLUMNS": "400"})
        assert result.exception is None or isinstance(result.exception, SystemExit), (value, repr(result.exception))
        assert "Traceback" not in result.output
        assert result.exit_code in {0, 1, 2}
        assert result.exit_code == 0 or result.output.strip() or words == "cluster status"
        assert result.output.count("zork") == result.output.count("[red]zork[/red]"), result.output
        assert "[/b]" in result.output or "été et" not in result.output
    assert (there / "a file").read_text() == "x"
    assert (there / "a folder" / "somebody's").read_text() == "x"
