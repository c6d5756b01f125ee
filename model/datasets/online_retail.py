"""UCI Online Retail (Chen, Sain and Guo 2012): invoice lines are buys and returns."""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

from model.datasets.action_map import ActionMap
from model.datasets.delimited import Row, read_rows
from model.datasets.reading import Item, ReadReport, problem_with
from model.records import EpochMs, ItemId, UserBehavior

COLUMNS = ("InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "CustomerID")
ACTIONS = ActionMap({"purchase": "buy", "cancellation": "return"})
_PRODUCT = re.compile(r"\d{5}")  # other codes are postage, discounts, bank charges
_US_FORMAT = "%m/%d/%Y %H:%M"


class OnlineRetailReader:
    """Reads the csv (or csv.gz); the invoice's kind, purchase or cancellation, is the raw action.

    Times carry no zone and are taken as UTC.
    """

    def __init__(self, path: Path, actions: ActionMap) -> None:
        self._path = _only_csv(path)
        self._actions = actions
        self._items: dict[ItemId, Item] = {}

    def behaviors(self, report: ReadReport) -> Iterator[UserBehavior]:
        """Yields a behaviour an invoice line, whatever its quantity."""
        for row in read_rows(self._path, COLUMNS):
            report.rows += 1
            behavior, problem = self._parse(row)
            if behavior is None or problem:
                report.skip(str(problem), row)
            else:
                yield behavior

    def items(self) -> Mapping[ItemId, Item]:
        """The products met so far, by their first description."""
        return self._items

    def _parse(self, row: Row) -> tuple[UserBehavior | None, str | None]:
        user_id = row["CustomerID"].strip().removesuffix(".0")
        item_id = row["StockCode"].strip().upper()
        if not user_id or user_id == "NA":
            return None, "no CustomerID"
        if not _PRODUCT.match(item_id):
            return None, "StockCode is no product"
        try:
            raw = _kind(row["InvoiceNo"], float(row["Quantity"]))
            timestamp = _epoch_ms(row["InvoiceDate"].strip())
        except ValueError:
            return None, "Quantity or InvoiceDate cannot be read"
        action = self._actions(raw)
        if action is None:
            return None, f"{raw} is not mapped"
        self._remember(item_id, row["Description"].strip())
        behavior = UserBehavior(user_id, action, item_id, timestamp)
        return behavior, problem_with(behavior)

    def _remember(self, item_id: ItemId, title: str) -> None:
        if title and item_id not in self._items:
            self._items[item_id] = Item(item_id, title)


def _only_csv(path: Path) -> Path:
    if not path.is_dir():
        return path
    found = sorted(path.glob("*.csv.gz")) + sorted(path.glob("*.csv"))
    return found[0] if len(found) == 1 else path / "onlineretail.csv"


def _kind(invoice: str, quantity: float) -> str:
    return "cancellation" if quantity < 0 or invoice.strip()[:1] in {"c", "C"} else "purchase"


@lru_cache(maxsize=4096)  # the lines of an invoice share their time
def _epoch_ms(text: str) -> EpochMs:
    try:
        naive = datetime.fromisoformat(text)
    except ValueError:
        naive = datetime.strptime(text, _US_FORMAT)
    return round(naive.replace(tzinfo=UTC).timestamp() * 1000)
