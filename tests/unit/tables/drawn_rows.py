"""The rows of every table that holds text of records, made of drawn records as the job makes them."""

from array import array
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from tests.unit.tables.rows import HOUR
from tests.unit.udfs.drawn import NOW_MS, RULES
from tests.unit.udfs.examples import candidates, scored
from udfs.elements import LoggedBehavior, ModelRef
from udfs.lists.entries import ReasonCode
from udfs.lists.list_rows import prediction_result_rows, recommendation_list_row
from udfs.lists.list_rules import Policy
from udfs.lists.user_list import UserList
from udfs.log.log_rows import dead_letter_row
from udfs.log.parsing import LogRecord, parse
from udfs.rows import to_lines
from udfs.users.behavior_row import user_behavior_row

ROW_TABLES = ("user_behavior", "dead_letters", "recommendation_lists", "prediction_results")
FURTHEST = 2**31 - 1, 2**63 - 1
"""The last partition; and the last offset, and number, that a column can hold."""


def list_of(behavior: LoggedBehavior) -> UserList:
    """A list of the behaviour's item, by the model and because of itself."""
    reasons: list[int | str] = [ReasonCode.MODEL, behavior.item_id]
    return UserList(FURTHEST[1], FURTHEST[1], [behavior.item_id] * 2, array("f", [1.0, 0.0]), reasons)


def all_rows(raws: Sequence[bytes]) -> dict[str, list[str]]:
    """Of each table the lines, in the order of their offsets."""
    rows: dict[str, list[str]] = {table: [] for table in ROW_TABLES}
    for place, raw in enumerate(raws):
        record = LogRecord(FURTHEST[0], FURTHEST[1] - len(raws) + place, raw, len(raw))
        found = parse(record, RULES, newest_ms=0, now_ms=NOW_MS)
        if isinstance(found, LoggedBehavior):
            for table, line in _rows_of(found).items():
                rows[table].append(line)
        else:
            rows["dead_letters"].append(to_lines([dead_letter_row(found, now_ms=NOW_MS, epoch=FURTHEST[1])]))
    return rows


def _rows_of(behavior: LoggedBehavior) -> dict[str, str]:
    proposed = candidates((behavior.item_id, -3.4e38, behavior.item_id))
    number = FURTHEST[1]
    did = scored(proposed, did=behavior, seq=number)
    model = ModelRef(behavior.item_id, behavior.user_id, behavior.item_id)
    made = recommendation_list_row(
        list_of(behavior), did, Policy.RECOMMEND, model=model, trend_snapshot=number, now_ms=NOW_MS, epoch=number
    )
    return {
        "user_behavior": to_lines([user_behavior_row(behavior, number, now_ms=NOW_MS, epoch=number)]),
        "recommendation_lists": to_lines([made]),
        "prediction_results": to_lines(prediction_result_rows(did, proposed, model, now_ms=NOW_MS, epoch=number)),
    }


def expected(lines: Sequence[str]) -> list[dict[str, object]]:
    """What a query gives of the lines, in the hour folder of `tests.unit.tables.rows`."""
    rows = [msgspec.json.decode(line, type=dict[str, object]) for line in lines]
    return [{**row, "dt": "2026-03-01", "hour": "09"} for row in rows]


def write(tables_dir: Path, rows: Mapping[str, Sequence[str]]) -> None:
    """In two files per table, as two checkpoints would."""
    for table, lines in rows.items():
        folder = tables_dir / table / HOUR
        folder.mkdir(parents=True)
        half = len(lines) // 2
        for name, part in (("part-a-0", lines[:half]), ("part-b-0", lines[half:])):
            (folder / name).write_bytes("".join(line + "\n" for line in part).encode())
