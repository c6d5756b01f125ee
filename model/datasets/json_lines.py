"""Behaviours as JSON lines: the project's own format, as a reader and as the prepared file's encoding."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import msgspec

from model.datasets.action_map import ActionMap
from model.datasets.errors import SourceError
from model.datasets.reading import Item, ReadReport, problem_with
from model.records import ItemId, UserBehavior

_DECODER = msgspec.json.Decoder(UserBehavior)
_ENCODER = msgspec.json.Encoder()
_FIELDS = ("user_id", "action", "item_id", "timestamp", "event_id", "request_id", "position")


def encode_behavior(behavior: UserBehavior) -> bytes:
    """One JSON object without a line end; optional fields that are None are left out."""
    values = ((name, getattr(behavior, name)) for name in _FIELDS)
    return _ENCODER.encode({name: value for name, value in values if value is not None})


def decode_behavior(line: bytes) -> UserBehavior:
    """Reads one JSON object, strictly typed.

    Raises:
        msgspec.DecodeError: the line is no JSON, a field is missing or of another type.
    """
    return _DECODER.decode(line)


def read_behaviors(path: Path) -> Iterator[UserBehavior]:
    """Yields the behaviours of a prepared file; it is trusted, so a bad line raises."""
    with path.open("rb") as lines:
        for line in lines:
            yield _DECODER.decode(line)


class JsonLinesReader:
    """Reads a user's own JSON lines: {"user_id", "action", "item_id", "timestamp" in ms, ...} a line."""

    def __init__(self, path: Path, actions: ActionMap) -> None:
        if not path.is_file():
            msg = f"{path} is no file; give a file of JSON lines with --path"
            raise SourceError(msg)
        self._path = path
        self._actions = actions

    def behaviors(self, report: ReadReport) -> Iterator[UserBehavior]:
        """Yields every valid line; blank lines are not rows."""
        with self._path.open("rb") as lines:
            for line in filter(bytes.strip, lines):
                report.rows += 1
                behavior = self._parse(line, report)
                if behavior is not None:
                    yield behavior

    def items(self) -> Mapping[ItemId, Item]:
        """Such a log has no catalogue."""
        return {}

    def _parse(self, line: bytes, report: ReadReport) -> UserBehavior | None:
        try:
            behavior = decode_behavior(line)
        except msgspec.DecodeError as error:
            report.skip(f"not a behaviour: {str(error).split(' (byte')[0]}", line)
            return None
        action = self._actions(behavior.action)
        problem = problem_with(behavior) or (None if action else f"action {behavior.action!r} is not mapped")
        if problem or action is None:
            report.skip(str(problem), line)
            return None
        return behavior if behavior.action == action else replace(behavior, action=action)
