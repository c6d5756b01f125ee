"""UCI Online Retail (Chen, Sain and Guo 2012): invoice lines are buys and returns."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from model.datasets.action_map import ActionMap
from model.datasets.delimited import dialect_of, read_named
from model.datasets.reading import PLAIN, BehaviorMaker, Format, Item, Raw, ReadReport
from model.event_time import EventTimes
from model.ids import cell_id
from model.records import ItemId, UserBehavior

COLUMNS = ("InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "CustomerID")
ACTIONS = ActionMap({"purchase": "buy", "cancellation": "return"})
_PRODUCT = re.compile(r"\d{5}")  # other codes are postage, discounts, bank charges


class OnlineRetailReader:
    """Reader of the csv (or csv.gz); purchase or cancellation is the raw action.

    Times without an offset are taken as UTC.
    """

    def __init__(self, path: Path, actions: ActionMap, form: Format = PLAIN) -> None:
        if path.is_dir():
            tables = sorted(path.glob("*.csv.gz")) + sorted(path.glob("*.csv"))
            path = tables[0] if len(tables) == 1 else path / "onlineretail.csv"
        self._path = path
        self._dialect = dialect_of(form.delimiter, form.encoding)
        self.times = EventTimes(given=form.time_unit)
        self.catalogue = ReadReport()
        self._maker = BehaviorMaker(actions, self.times)
        self._items: dict[ItemId, Item] = {}

    def behaviors(self, report: ReadReport) -> Iterator[UserBehavior]:
        """Yield a behaviour for each usable invoice line, whatever its quantity."""
        for invoice, code, description, quantity, date, customer in read_named(
            self._path, COLUMNS, self._dialect, report
        ):
            user_id, item_id = cell_id(customer), code.strip().upper()
            if not user_id or user_id == "NA":
                report.skip("no CustomerID")
                continue
            if not _PRODUCT.match(item_id):
                report.skip("StockCode is no product")
                continue
            try:
                is_return = float(quantity) < 0 or invoice.strip()[:1] in {"c", "C"}
            except ValueError:
                report.skip("Quantity is no number")
                continue
            action = "cancellation" if is_return else "purchase"
            raw = Raw(user_id=user_id, item_id=item_id, action=action, time=date)
            if (behavior := self._maker.make(raw, report)) is not None:
                self._remember(item_id, description.strip())
                yield behavior

    def items(self) -> Mapping[ItemId, Item]:
        """Return the products read so far, with their first descriptions."""
        return self._items

    def _remember(self, item_id: ItemId, title: str) -> None:
        if title and item_id not in self._items:
            self._items[item_id] = Item(item_id, title)
