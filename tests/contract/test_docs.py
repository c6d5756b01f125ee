"""What README.md, CONTRIBUTING.md and docs/ say of settings, tables, files, commands and each other holds."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from job.cli import app
from job.deployment.shipping import PROJECT
from job.settings.settings_table import settings_table
from job.tables.tables_page import tables_page
from model.recommenders.kinds import KINDS

PAGES = [PROJECT / "README.md", PROJECT / "CONTRIBUTING.md", *sorted((PROJECT / "docs").rglob("*.md"))]
ADRS = sorted((PROJECT / "docs/adr").glob("[0-9]*.md"))
_LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)")
_PATH = re.compile(r"`((?:job|model|udfs|tests|docs|requirements)/[\w./-]*\w)`")
_TARGET = re.compile(r"^make (?:ARGS=\S+ )?([a-z][\w-]*)|`make ([a-z][\w-]*)", re.MULTILINE)
_BLOCK = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)


def test_the_settings_table_is_the_one_the_settings_make() -> None:
    page = PROJECT / "docs/settings.md"
    assert settings_table() in page.read_text(), "paste what `recloop config table` prints"


def test_the_tables_are_those_of_their_definitions() -> None:
    page = PROJECT / "docs/tables.md"
    assert tables_page() in page.read_text(), "paste what `python -m job.tables.tables_page` prints"


def test_it_is_said_of_every_recommender_when_to_take_it() -> None:
    rows = [line for line in (PROJECT / "docs/recommenders.md").read_text().splitlines() if line.startswith("| `")]
    said = {row.split("`")[1]: row.split("|")[2].strip() for row in rows if row.count("|") == 4}
    assert said.keys() >= KINDS.keys()
    assert all(said.values())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(PROJECT).as_posix())
def test_no_link_is_dead(page: Path) -> None:
    linked = [page.parent / target for target in _LINK.findall(page.read_text())]
    assert [str(target) for target in linked if not target.exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(PROJECT).as_posix())
def test_commands_and_their_options_are_there(page: Path) -> None:
    assert [line for line in commands_of(page) if not is_known(shlex.split(line, comments=True)[1:])] == []


def test_the_walks_of_a_contributor_name_files_that_are_there() -> None:
    named = [path for path in _PATH.findall((PROJECT / "CONTRIBUTING.md").read_text()) if "NAME" not in path]
    assert len(named) > 10
    assert [path for path in named if not (PROJECT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(PROJECT).as_posix())
def test_make_has_the_targets_that_are_named(page: Path) -> None:
    targets = set(re.findall(r"^([\w-]+):(?!=)", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    assert {one or other for one, other in _TARGET.findall(page.read_text())} <= targets


def test_every_page_has_its_place_in_the_site() -> None:
    listed = re.findall(r"- ([\w/-]+\.md)$", (PROJECT / "mkdocs.yml").read_text(), re.MULTILINE)
    pages = [page.relative_to(PROJECT / "docs").as_posix() for page in PAGES if page.is_relative_to(PROJECT / "docs")]
    assert sorted(listed) == sorted(pages)


def test_the_list_of_decisions_has_each_by_its_title_and_says_what_is_replaced() -> None:
    texts = {page.name: page.read_text() for page in ADRS}
    lines = []
    for name, text in texts.items():
        number, title = text.splitlines()[0].removeprefix("# ").split(". ", 1)
        assert int(number) == int(name[:4])
        by = re.search(r"^\*\*Replaced by \[(\d+)\]\((.*)\)\.\*\*$", text, re.MULTILINE)
        lines.append(f"{number}. [{title}]({name}){f': replaced by {by[1]}' if by else ''}")
        if by is not None:
            assert f"Replaces [{number}]({name})" in texts[by[2]]
    for text in texts.values():
        for number, name in re.findall(r"Replaces \[(\d+)\]\((.*?)\)", text):
            assert f"{number}. " in texts[name]
            assert "**Replaced by" in texts[name]
    listed = (PROJECT / "docs/adr/README.md").read_text().splitlines()
    assert [line for line in listed if line[:1].isdigit()] == lines


def commands_of(page: Path) -> Iterator[str]:
    for block in _BLOCK.findall(page.read_text()):
        yield from (line for line in block.splitlines() if line.startswith("recloop ") and line.count('"') % 2 == 0)


def is_known(words: list[str]) -> bool:
    command: Any = typer.main.get_command(app)
    while hasattr(command, "commands") and words and words[0] in command.commands:
        command, words = command.commands[words[0]], words[1:]
    options = {name for parameter in command.params for name in parameter.opts} | {"--help"}
    given = {word.partition("=")[0] for word in words if word.startswith("-")}
    return not hasattr(command, "commands") and given <= options
