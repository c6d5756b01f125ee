"""Taobao's UserBehavior csv: user, item, category, pv|fav|cart|buy, seconds; without a header."""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path

from model.datasets.action_map import ActionMap
from model.datasets.delimited import open_text
from model.datasets.reading import Item, ReadReport, problem_with
from model.records import ItemId, UserBehavior

ACTIONS = ActionMap({"pv": "view", "fav": "favorite", "cart": "cart", "buy": "buy"})
_CELLS = 5


class TaobaoReader:
    """Reads the csv (or csv.gz) row by row; an item's title is its id, its group the category."""

    def __init__(self, path: Path, actions: ActionMap) -> None:
        self._path = path
        self._actions = actions
        self._category: dict[ItemId, str] = {}

    def behaviors(self, report: ReadReport) -> Iterator[UserBehavior]:
        """Yields a behaviour a row."""
        with open_text(self._path) as text:
            for cells in csv.reader(text):
                report.rows += 1
                behavior, problem = self._parse(cells)
                if behavior is None or problem:
                    report.skip(str(problem), ",".join(cells))
                else:
                    yield behavior

    def items(self) -> Mapping[ItemId, Item]:
        """The items met so far."""
        return {item_id: Item(item_id, item_id, group) for item_id, group in self._category.items()}

    def _parse(self, cells: list[str]) -> tuple[UserBehavior | None, str | None]:
        if len(cells) != _CELLS:
            return None, f"not {_CELLS} cells"
        user_id, item_id, category, raw, seconds = cells
        action = self._actions(raw)
        if action is None:
            return None, f"action {raw!r} is not mapped"
        try:
            behavior = UserBehavior(user_id, action, item_id, int(seconds) * 1000)
        except ValueError:
            return None, "timestamp is no number"
        self._category.setdefault(item_id, category)
        return behavior, problem_with(behavior)
