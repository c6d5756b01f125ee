"""The protocol of all data set readers, and the report in which no line goes uncounted."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from model.datasets.action_map import ActionMap, word_of
from model.event_time import EventTimeError, EventTimes, Unit
from model.ids import MAX_ID_BYTES
from model.records import EpochMs, ItemId, UserBehavior

MAX_REASONS = 50
MAX_WORDS = 200
_OTHER_REASONS = "other reasons"
_ID_NAMES = ("user_id", "item_id", "event_id", "request_id")
_SURELY_SHORT = MAX_ID_BYTES // 4  # characters: UTF-8 has 4 bytes each at most


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a catalogue.

    Attributes:
        item_id: the id that behaviours use.
        title: the text that people see; never empty.
        group: first genre or category, "" where the data has none.
    """

    item_id: ItemId
    title: str
    group: str = ""


@dataclass(frozen=True, slots=True)
class Format:
    """The user's options for reading files; where one is None, the source's own is used.

    Attributes:
        encoding: of text without a byte order mark.
        time_unit: of all times that are numbers.
        columns: part of a behaviour -> name of its column, or its number from 1.
        delimiter: between two cells.
    """

    encoding: str | None = None
    time_unit: Unit | None = None
    columns: Mapping[str, str] | None = None
    delimiter: str | None = None


PLAIN = Format()


@dataclass(slots=True)
class ReadReport:
    """Counts of a source: lines = headers + blank + continued + rows, and rows = behaviours + skipped.

    Attributes:
        rows: rows read, good and bad.
        lines: physical lines; in a format without lines, its rows.
        headers: lines that name the columns.
        blank: lines without a character.
        continued: lines that belong to the row of a line before, as a quoted cell goes on in them.
        skipped: reason -> number of rows that are not used.
        intended: skipped rows that the user or the log means to leave out.
        examples: reason -> the first row that was skipped for it, cut to 200 characters.
        words: raw action -> rows; the first `MAX_WORDS` of them.
        unmapped: the raw actions without a rule.
        whole_ids: ids that were written as 12.0 and are taken as 12.
        row: the row that is being read, as it stands in the source.
        appended_ms: when that row was appended to the log, where it says so.
    """

    rows: int = 0
    lines: int = 0
    headers: int = 0
    blank: int = 0
    continued: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    intended: int = 0
    examples: dict[str, str] = field(default_factory=dict)
    words: Counter[str] = field(default_factory=Counter)
    unmapped: set[str] = field(default_factory=set)
    whole_ids: int = 0
    row: object = ""
    appended_ms: EpochMs | None = None

    def begin(self, row: object) -> None:
        """Count a new row, the one that `skip` counts next."""
        self.rows += 1
        self.row = row

    def skip(self, reason: str, *, intended: bool = False) -> None:
        """Count the current row as not used; reasons beyond `MAX_REASONS` are counted as one."""
        if reason not in self.skipped and len(self.skipped) >= MAX_REASONS:
            reason = _OTHER_REASONS
        self.skipped[reason] += 1
        self.intended += intended
        if reason not in self.examples:
            self.examples[reason] = "".join(c if c.isprintable() else "\ufffd" for c in str(self.row)[:200])

    def count_word(self, raw: str) -> str:
        """Count a raw action, and return it as rules name it."""
        word = word_of(raw)
        if word in self.words or len(self.words) < MAX_WORDS:
            self.words[word] += 1
        return word

    @property
    def mostly_bad(self) -> bool:
        """True if more than half of the rows are unusable; those left out on purpose do not count as such."""
        return 2 * (self.skipped.total() - self.intended) > self.rows


class Reader(Protocol):
    """One source of behaviours: a file or folder of a known format."""

    times: EventTimes
    catalogue: ReadReport

    def behaviors(self, report: ReadReport) -> Iterator[UserBehavior]:
        """Yield every usable row in the order of the file, and count the others in `report`."""

    def items(self) -> Mapping[ItemId, Item]:
        """Return the catalogue; it is complete once `behaviors` is exhausted."""


@dataclass(slots=True, kw_only=True)  # not frozen: made once per row, in half the time
class Raw:
    """A row's parts as the source writes them.

    Attributes:
        user_id: as text.
        item_id: as text.
        action: the raw word.
        time: a number or text.
        event_id: names the event, where the source has such names.
        request_id: names the request whose list was shown.
        position: rank in that list.
    """

    user_id: str
    item_id: str
    action: str
    time: float | str
    event_id: str | None = None
    request_id: str | None = None
    position: int | None = None


@dataclass(frozen=True, slots=True)
class BehaviorMaker:
    """The conversion of raw rows into behaviours, by the same rules for all sources.

    Attributes:
        actions: the mapping.
        times: of the source.
        word: the name of a raw action in reasons: "rating" or "action".
    """

    actions: ActionMap
    times: EventTimes
    word: str = "action"

    def make(self, raw: Raw, report: ReadReport) -> UserBehavior | None:
        """Return the row's behaviour, or count the row as skipped and return None."""
        if problem := _problem_with_ids(raw):
            report.skip(problem)
            return None
        action = self._action(raw.action, report)
        if action is None:
            return None
        try:
            timestamp = self.times.to_ms(raw.time)
        except EventTimeError as error:
            report.skip(str(error))
            return None
        return UserBehavior(
            user_id=raw.user_id,
            action=action,
            item_id=raw.item_id,
            timestamp=timestamp,
            event_id=raw.event_id,
            request_id=raw.request_id,
            position=raw.position,
        )

    def _action(self, raw: str, report: ReadReport) -> str | None:
        word = report.count_word(raw)
        action = self.actions(word)
        if action is None and self.actions.is_skipped(word):
            report.skip(f"{self.word} {word[:64]!r} is left out by its rule", intended=True)
        elif action is None:
            if len(report.unmapped) < MAX_WORDS:
                report.unmapped.add(word)
            report.skip(f"{self.word} {word[:64]!r} is not mapped")
        return action


def _problem_with_ids(raw: Raw) -> str | None:
    """Return the problem with the first id that is not valid, or None if all are."""
    usual = raw.event_id is None and raw.request_id is None
    if usual and 0 < len(raw.user_id) <= _SURELY_SHORT and 0 < len(raw.item_id) <= _SURELY_SHORT:
        return None
    texts = (raw.user_id, raw.item_id, raw.event_id, raw.request_id or None)
    for name, value in zip(_ID_NAMES, texts, strict=True):
        if value is None:
            continue
        if not value:
            return f"{name} is empty"
        if len(value) > _SURELY_SHORT and len(value.encode()) > MAX_ID_BYTES:
            return f"{name} has more than {MAX_ID_BYTES} bytes"
    return None
