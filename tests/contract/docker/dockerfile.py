"""A Dockerfile as instructions and stages: comments, continued lines, flags, JSON words and variables, no more.

Here-documents and parser directives are refused rather than misread.
"""

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

KEYWORDS = frozenset(
    [
        "ADD",
        "ARG",
        "CMD",
        "COPY",
        "ENTRYPOINT",
        "ENV",
        "EXPOSE",
        "FROM",
        "HEALTHCHECK",
        "LABEL",
        "RUN",
        "SHELL",
        "STOPSIGNAL",
        "USER",
        "VOLUME",
        "WORKDIR",
    ]
)
_FLAG = re.compile(r"--([a-z-]+)(?:=(\S+))?\s*")
_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)(?::-([^}]*))?\})")


class DockerfileError(Exception):
    """The file is none that Docker would read; the text names the line."""


@dataclass(frozen=True)
class Instruction:
    """One instruction; `text` is what follows its flags."""

    keyword: str
    flags: tuple[tuple[str, str], ...]
    text: str
    line: int

    @property
    def words(self) -> list[str]:
        if self.text.startswith("["):
            return [str(word) for word in json.loads(self.text)]
        return shlex.split(self.text)

    @property
    def pairs(self) -> dict[str, str]:
        """What ENV and ARG set."""
        return {name: value for name, _, value in (word.partition("=") for word in self.words)}


@dataclass(frozen=True)
class Stage:
    """What one FROM begins."""

    base: str
    name: str
    instructions: list[Instruction] = field(default_factory=list)

    def every(self, keyword: str) -> list[Instruction]:
        return [each for each in self.instructions if each.keyword == keyword]

    def last(self, keyword: str) -> Instruction | None:
        return next(reversed(self.every(keyword)), None)


@dataclass(frozen=True)
class Dockerfile:
    """All stages, and the arguments that FROM lines may use."""

    arguments: dict[str, str]
    stages: list[Stage]

    def stage(self, name: str) -> Stage | None:
        return next((each for each in self.stages if each.name == name), None)

    def lineage(self, stage: Stage, arguments: Mapping[str, str]) -> list[Stage]:
        """The stage and what it is built on, nearest first; ends at the first image from outside."""
        found = [stage]
        while (parent := self.stage(expand(found[-1].base, {**self.arguments, **arguments}))) is not None:
            found.append(parent)
        return found


def parse(text: str) -> Dockerfile:
    """Reads a Dockerfile.

    Raises:
        DockerfileError: an unknown instruction, one before FROM, or a line continued into nothing.
    """
    arguments: dict[str, str] = {}
    stages: list[Stage] = []
    for each in map(_instruction, *zip(*_logical_lines(text), strict=True)):
        if each.keyword == "FROM":
            stages.append(_stage(each, len(stages)))
        elif stages:
            stages[-1].instructions.append(each)
        elif each.keyword == "ARG":
            arguments |= each.pairs
        else:
            msg = f"line {each.line}: {each.keyword} before the first FROM"
            raise DockerfileError(msg)
    return Dockerfile(arguments, stages)


def expand(text: str, values: Mapping[str, str]) -> str:
    """The text with $NAME, ${NAME} and ${NAME:-default} replaced; an unset name is empty, as in Docker."""
    return _VARIABLE.sub(lambda found: values.get(found[1] or found[2]) or found[3] or "", text)


def _logical_lines(text: str) -> list[tuple[int, str]]:
    """(number of its first line, joined line); comments and empty lines are left out, also inside a continued one."""
    found: list[tuple[int, str]] = []
    parts: list[str] = []
    start = 0
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        start = start if parts else number
        parts.append(stripped.removesuffix("\\").strip())
        if not stripped.endswith("\\"):
            found.append((start, " ".join(parts)))
            parts = []
    if parts or not found:
        msg = f"line {start}: continued into nothing" if parts else "it is empty"
        raise DockerfileError(msg)
    return found


def _instruction(number: int, line: str) -> Instruction:
    keyword, _, rest = line.partition(" ")
    keyword, rest = keyword.upper(), rest.strip()
    if keyword not in KEYWORDS or not rest or "<<" in rest:
        msg = f"line {number}: {line!r} is no instruction that is understood here"
        raise DockerfileError(msg)
    flags = []
    while keyword not in ("ENTRYPOINT", "CMD") and (found := _FLAG.match(rest)):
        flags.append((found[1], found[2] or ""))
        rest = rest[found.end() :]
    return Instruction(keyword, tuple(flags), rest, number)


def _stage(instruction: Instruction, position: int) -> Stage:
    base, *named = instruction.words
    if named and (len(named) != 2 or named[0].upper() != "AS"):
        msg = f"line {instruction.line}: FROM {instruction.text}"
        raise DockerfileError(msg)
    return Stage(base, named[1] if named else str(position))
