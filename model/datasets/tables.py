"""Tables that a user describes: delimited text and Parquet, with a column for each part of a behaviour or an item."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from model.datasets.action_map import EVERY, ActionMap
from model.datasets.columns import (
    ACTION,
    BEHAVIOR_PARTS,
    EVENT,
    GROUP,
    ITEM,
    ITEM_COLUMNS,
    OWN_COLUMNS,
    TIME,
    TITLE,
    USER,
    are_numbers,
)
from model.datasets.delimited import Dialect, dialect_of, read_named, read_numbered
from model.datasets.errors import SourceError
from model.datasets.parquet import is_parquet, read_parquet
from model.datasets.reading import PLAIN, BehaviorMaker, Format, Item, Raw, ReadReport
from model.event_time import EventTimes
from model.ids import MAX_ID_BYTES, cell_id, id_text
from model.records import ItemId, UserBehavior

Row = Sequence[object]


class TableReader:
    """Reader of behaviours from a table; its columns have the record's own names unless `form` gives others."""

    def __init__(self, path: Path, actions: ActionMap, form: Format = PLAIN) -> None:
        """Check the columns.

        Raises:
            SourceError: there is no column of actions, and no rule for every row.
        """
        self._path = path
        self._form = form
        self._columns = OWN_COLUMNS if form.columns is None else form.columns
        if ACTION not in self._columns and actions.every is None:
            msg = f"--columns names no action; say what every row is, for example --actions {EVERY}=view"
            raise SourceError(msg)
        self.times = EventTimes(given=form.time_unit)
        self.catalogue = ReadReport()
        self._maker = BehaviorMaker(actions, self.times)

    def behaviors(self, report: ReadReport) -> Iterator[UserBehavior]:
        """Yield a behaviour for each usable row."""
        parts = tuple(part for part in BEHAVIOR_PARTS if part in self._columns)
        for row in self._rows(parts, report):
            cells = dict(zip(parts, row, strict=True))
            user_id, item_id = _cell_text(cells[USER], report), _cell_text(cells[ITEM], report)
            if not (user_id and item_id):
                name, cell = ("item_id", cells[ITEM]) if user_id else ("user_id", cells[USER])
                report.skip(f"{name} {_why_no_id(cell)}")
                continue
            time = cells[TIME]
            if isinstance(time, bool) or not isinstance(time, (int, float, str)):
                time = str(time)
            raw = Raw(
                user_id=user_id,
                item_id=item_id,
                action=_word(cells.get(ACTION)),
                time=time,
                event_id=_cell_text(cells[EVENT], report) or None if EVENT in cells else None,
            )
            if (behavior := self._maker.make(raw, report)) is not None:
                yield behavior

    def items(self) -> Mapping[ItemId, Item]:
        """Return no items: such a table has no catalogue; --items gives one."""
        return {}

    def _rows(self, parts: tuple[str, ...], report: ReadReport) -> Iterator[Row]:
        dialect = dialect_of(self._form.delimiter, self._form.encoding)
        return _read_delimited(self._path, self._columns, parts, dialect, report)


class ParquetReader(TableReader):
    """Reader of behaviours from a Parquet file, or from a folder of them."""

    def _rows(self, parts: tuple[str, ...], report: ReadReport) -> Iterator[Row]:
        return read_parquet(self._path, [self._columns[part] for part in parts], report)


def _read_delimited(
    path: Path, columns: Mapping[str, str], parts: Sequence[str], dialect: Dialect, report: ReadReport
) -> Iterator[Row]:
    """Yield the cells of `parts` in each row.

    Where columns are numbers, a first line without a digit in its time is a header, and no row.

    Raises:
        SourceError: the file cannot be read, or lacks one of the columns.
    """
    if not are_numbers(columns):
        yield from read_named(path, [columns[part] for part in parts], dialect, report)
        return
    at = [int(columns[part]) - 1 for part in parts]
    time_at = parts.index(TIME) if TIME in parts else None
    for cells in read_numbered(path, None, dialect, report):
        if max(at) >= len(cells):
            found = f"its first line has {len(cells)} between {dialect.delimiter!r}"
            msg = f"{path} has no column {max(at) + 1}: {found}; say with --delimiter what stands between two cells"
            raise SourceError(msg)
        row = [cells[column] for column in at]
        is_first = report.rows == 1 and not report.headers
        if is_first and time_at is not None and not any(map(str.isdigit, row[time_at])):
            report.rows, report.headers = 0, 1
        else:
            yield row


def read_items(path: Path, form: Format, report: ReadReport) -> dict[ItemId, Item]:
    """Read a catalogue, in which the first row of an item counts.

    Folders and Parquet files are read as Parquet, any other file as delimited text.

    Raises:
        SourceError: the file cannot be read, or lacks one of the columns.
    """
    columns = ITEM_COLUMNS if form.columns is None else form.columns
    parts = [part for part in (ITEM, TITLE, GROUP) if part in columns]
    found: dict[ItemId, Item] = {}
    rows: Iterator[Row]
    if path.is_dir() or path.suffix == ".parquet" or is_parquet(path):
        rows = read_parquet(path, [columns[part] for part in parts], report)
    else:
        rows = _read_delimited(path, columns, parts, dialect_of(form.delimiter, form.encoding), report)
    for row in rows:
        cells = dict(zip(parts, row, strict=True))
        item_id = _cell_text(cells[ITEM], report)
        if not item_id:
            report.skip(f"item_id {_why_no_id(cells[ITEM])}")
        elif len(item_id.encode()) > MAX_ID_BYTES:
            report.skip(f"item_id has more than {MAX_ID_BYTES} bytes")
        elif item_id in found:
            report.skip("item_id was there before", intended=True)
        else:
            found[item_id] = Item(item_id, _word(cells.get(TITLE)) or item_id, _word(cells.get(GROUP)))
    return found


def _cell_text(value: object, report: ReadReport) -> str:
    """Return a cell's id as text, "" if it has none, and count ids that were written as 12.0."""
    if isinstance(value, str):
        text = cell_id(value)
        report.whole_ids += len(text) < len(value) and text != value.strip()
        return text
    if value is None or isinstance(value, (int, float)):
        text = id_text(value) or ""
        report.whole_ids += bool(text) and isinstance(value, float)
        return text
    return "" if isinstance(value, (list, dict, bytes)) else cell_id(str(value))


def _why_no_id(value: object) -> str:
    """Return the reason why `cell_text` is "" for the cell."""
    if value is None or isinstance(value, str) or value != value:  # pandas writes NaN for none
        return "is empty"
    if isinstance(value, float) and value.is_integer():
        return "is a decimal number beyond 2^53, which is not exact; write ids as text or whole numbers"
    return "is no text and no whole number"


def _word(value: object) -> str:
    return "" if value is None else str(value).strip()
