"""Taobao's UserBehavior csv: user, item, category, pv|fav|cart|buy, seconds; without a header."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from model.datasets.action_map import ActionMap
from model.datasets.delimited import dialect_of, read_numbered
from model.datasets.reading import PLAIN, BehaviorMaker, Format, Item, Raw, ReadReport
from model.event_time import EventTimes, Unit
from model.ids import cell_id
from model.records import ItemId, UserBehavior

ACTIONS = ActionMap({"pv": "view", "fav": "favorite", "cart": "cart", "buy": "buy"})
_CELLS = 5


class TaobaoReader:
    """Row-by-row reader of the csv (or csv.gz); an item's title is its id, its group the category."""

    def __init__(self, path: Path, actions: ActionMap, form: Format = PLAIN) -> None:
        self._path = path
        self._dialect = dialect_of(form.delimiter, form.encoding)
        self.times = EventTimes(documented=Unit.SECONDS, given=form.time_unit)
        self.catalogue = ReadReport()
        self._maker = BehaviorMaker(actions, self.times)
        self._category: dict[ItemId, str] = {}

    def behaviors(self, report: ReadReport) -> Iterator[UserBehavior]:
        """Yield a behaviour for each usable row."""
        for user_id, item_id, category, action, time in read_numbered(self._path, _CELLS, self._dialect, report):
            raw = Raw(user_id=cell_id(user_id), item_id=cell_id(item_id), action=action, time=time)
            if (behavior := self._maker.make(raw, report)) is not None:
                self._category.setdefault(behavior.item_id, category.strip())
                yield behavior

    def items(self) -> Mapping[ItemId, Item]:
        """Return the items read so far."""
        return {item_id: Item(item_id, item_id, group) for item_id, group in self._category.items()}
