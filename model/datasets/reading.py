"""What every reader of a data set is, and the report in which no lost row goes uncounted."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from model.records import ItemId, UserBehavior

MAX_ID_BYTES = 256


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a catalogue.

    Attributes:
        item_id: the id that behaviours use.
        title: what a person is shown; never empty.
        group: first genre or category, "" where the data has none.
    """

    item_id: ItemId
    title: str
    group: str = ""


@dataclass(slots=True)
class ReadReport:
    """Counts the rows of a source: those read, and those skipped by reason.

    Attributes:
        rows: rows seen, good and bad.
        skipped: reason -> number of rows.
        examples: reason -> the first row that was skipped for it, cut to 200 characters.
    """

    rows: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    def skip(self, reason: str, row: object) -> None:
        """Counts one row that is not used."""
        self.skipped[reason] += 1
        self.examples.setdefault(reason, str(row)[:200])


class Reader(Protocol):
    """One source of behaviours: a file or folder of a known format."""

    def behaviors(self, report: ReadReport) -> Iterator[UserBehavior]:
        """Yields every usable row in the order of the file; counts the others in `report`."""

    def items(self) -> Mapping[ItemId, Item]:
        """The catalogue; complete once `behaviors` is exhausted."""


def problem_with(behavior: UserBehavior) -> str | None:
    """Says why a behaviour breaks the record's promises, or None if it keeps them."""
    for name, value in (("user_id", behavior.user_id), ("item_id", behavior.item_id)):
        if not 1 <= len(value.encode()) <= MAX_ID_BYTES:
            return f"{name} is not 1 to {MAX_ID_BYTES} bytes"
    return "timestamp before 1970" if behavior.timestamp < 0 else None
