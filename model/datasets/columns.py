"""Columns of a table, by the part of a behaviour or of an item that each holds, as --columns gives them."""

from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType

from model.datasets.errors import SourceError

USER, ITEM, ACTION, TIME, EVENT = "user", "item", "action", "time", "event"
TITLE, GROUP = "title", "group"
OWN_COLUMNS: Mapping[str, str] = MappingProxyType(
    {USER: "user_id", ITEM: "item_id", ACTION: "action", TIME: "timestamp"}
)
"""The columns of a table of behaviours, unless the user names others."""
ITEM_COLUMNS: Mapping[str, str] = MappingProxyType({ITEM: "item_id", TITLE: "title", GROUP: "group"})
BEHAVIOR_PARTS = (USER, ITEM, ACTION, TIME, EVENT)
_MOST_DIGITS = 6
_OTHER_NAMES = {"user_id": USER, "item_id": ITEM, "timestamp": TIME, "event_id": EVENT}


def parse_columns(text: str, option: str, parts: tuple[str, ...], needed: tuple[str, ...]) -> Mapping[str, str]:
    """Read `user=uid,item=sku,time=ts`: a part's column by its name, or by its number from 1.

    Args:
        text: parts and columns, separated by commas.
        option: the option that gave the text, for messages.
        parts: all parts that may be given.
        needed: the parts that have to be given.

    Raises:
        SourceError: a part is unknown, given twice or missing, a column is used twice, or names and numbers are mixed.
    """
    example = ",".join(f"{part}=COLUMN" for part in needed)
    columns: dict[str, str] = {}
    for pair in filter(None, map(str.strip, text.split(","))):
        part, sign, column = (side.strip() for side in pair.partition("="))
        part = _OTHER_NAMES.get(part, part)
        if part not in parts or not sign or not column or part in columns:
            msg = f"{option}: {pair!r} is not PART=COLUMN, each part once, of {', '.join(parts)}; write {example}"
            raise SourceError(msg)
        columns[part] = column
    used = Counter(str(int(column)) if is_number(column) else column for column in columns.values())  # 1 and 01 are one
    if twice := [column for column, count in used.items() if count > 1]:
        msg = f"{option} gives column {twice[0]} to two parts; each part has a column of its own, as in {example}"
        raise SourceError(msg)
    missing = [part for part in needed if part not in columns]
    if missing:
        msg = f"{option} does not say which column is {' and '.join(missing)}; write for example {example}"
        raise SourceError(msg)
    if len({is_number(column) for column in columns.values()}) > 1:
        msg = f"{option} has names and numbers; give all columns by the header's names, or all by numbers from 1"
        raise SourceError(msg)
    return MappingProxyType(columns)


def is_number(column: str) -> bool:
    """Return True if a column is given by its number."""
    return column.isascii() and column.isdigit() and len(column) <= _MOST_DIGITS and int(column) > 0


def are_numbers(columns: Mapping[str, str]) -> bool:
    """Return True if the columns are given by their numbers, so that the file has no header."""
    return all(map(is_number, columns.values()))
