"""The rows of one user that an explanation starts from: a list, the list before it, and the behaviours up to it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from job.tables import duck
from model.errors import RecloopError
from udfs.elements import TrendSnapshot

_NAMES = ", ".join(("log_partition", "log_offset", "outcome", "user_seq", "epoch", "user_id", "action", "item_id"))
_LIST = """
SELECT * FROM recommendation_lists
WHERE user_id = ? AND (? IS NULL OR (log_partition = ? AND log_offset <= ?)) ORDER BY list_version DESC LIMIT 1
"""
_PREVIOUS = "SELECT * FROM recommendation_lists WHERE user_id = ? AND list_version = ?"
_ALL_LISTS = "SELECT * FROM recommendation_lists"
_ALL_BEHAVIORS = f"""
SELECT {_NAMES}, "timestamp", event_id, request_id, "position", appended_at FROM user_behavior"""
_APPLIED_ORDER = "epoch, written_at, log_partition, log_offset"
_BEHAVIORS = f"{_ALL_BEHAVIORS} WHERE user_id = ? ORDER BY {_APPLIED_ORDER}"
_ALL_TRENDS = "SELECT snapshot_id, items, strengths FROM trend_snapshots"
_TRENDS = f"{_ALL_TRENDS} WHERE snapshot_id = ?"


class ExplainError(RecloopError):
    """A list that cannot be recomputed; the text says what is missing."""


class ListRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A row of recommendation_lists, as far as it is compared or recomputed from."""

    user_id: str
    items: tuple[str, ...]
    scores: tuple[float, ...]
    reasons: tuple[str, ...]
    propensities: tuple[float, ...] | None = None
    list_version: int
    user_seq: int
    action: str
    item_id: str
    log_partition: int
    log_offset: int
    policy: str
    source: str
    fallback_reason: str | None
    model_version: str | None
    model_hash: str | None
    variant: str | None
    trend_snapshot: int | None
    batch_size: int | None
    timestamp: int
    written_at: int
    epoch: int


class BehaviorRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A row of user_behavior."""

    log_partition: int
    log_offset: int
    outcome: str
    user_seq: int | None
    epoch: int
    user_id: str
    action: str
    item_id: str
    timestamp: int
    event_id: str | None
    request_id: str | None
    position: int | None
    appended_at: int | None

    @property
    def at(self) -> tuple[int, int]:
        """The partition and offset."""
        return self.log_partition, self.log_offset


@dataclass(frozen=True, slots=True)
class Recorded:
    """The rows of an explanation.

    Attributes:
        made: the list to be explained.
        previous: the list before it; None if it is the user's first.
        behaviors: the user's behaviours up to the one that the list was made after, in the order of their applying.
        trends: the trends that were blended in; None if there were none.
    """

    made: ListRecord
    previous: ListRecord | None
    behaviors: tuple[BehaviorRecord, ...]
    trends: TrendSnapshot | None


def read_records(tables: Path, user_id: str, at: tuple[int, int] | None) -> Recorded:
    """Read the rows, all from one state of the tables.

    Args:
        tables: the tables folder.
        user_id: the user.
        at: partition and offset; the user's newest list by then is explained. None takes the newest list of all.

    Raises:
        ExplainError: there is no such list, or a row that it was made from is gone.
        TablesError: see `job.tables.duck.query`.
    """
    with duck.connect(tables) as connection:

        def rows(sql: str, *parameters: object) -> list[dict[str, Any]]:
            return duck.run(connection, sql, parameters).records()

        partition, offset = at or (None, None)
        made = _lists(rows(_LIST, user_id, partition, partition, offset))
        if not made:
            where = f" at {partition}:{offset} or before it in that partition" if at else ""
            msg = f"user {user_id} has no list in {tables}{where}: recloop lists {user_id} shows what there is"
            raise ExplainError(msg)
        of_list = made[0]
        previous = _lists(rows(_PREVIOUS, user_id, of_list.list_version - 1))
        behaviors = [_converted(row, BehaviorRecord) for row in rows(_BEHAVIORS, user_id)]
        trends = rows(_TRENDS, of_list.trend_snapshot) if of_list.trend_snapshot is not None else []
    snapshots = {of_list.trend_snapshot: _snapshot(trends[0])} if trends else {}
    return _recorded(of_list, previous[0] if previous else None, behaviors, snapshots)


def read_all(tables: Path) -> Iterator[Recorded]:
    """Yield the rows of every list, all from one state of the tables.

    Raises:
        ExplainError: a row is damaged, or one that a list was made from is gone.
        TablesError: see `job.tables.duck.query`.
    """
    with duck.connect(tables) as connection:

        def rows(sql: str) -> list[dict[str, Any]]:
            return duck.run(connection, sql).records()

        made = _lists(rows(f"{_ALL_LISTS} ORDER BY user_id, list_version"))
        behaviors: dict[str, list[BehaviorRecord]] = {}
        for row in rows(f"{_ALL_BEHAVIORS} ORDER BY {_APPLIED_ORDER}"):
            behaviors.setdefault(row["user_id"], []).append(_converted(row, BehaviorRecord))
        with_trends = any(each.trend_snapshot is not None for each in made)
        trends = {row["snapshot_id"]: _snapshot(row) for row in (rows(_ALL_TRENDS) if with_trends else ())}
    previous: dict[str, ListRecord] = {}
    for each in made:
        yield _recorded(each, previous.get(each.user_id), behaviors.get(each.user_id, []), trends)
        previous[each.user_id] = each


def _recorded(
    made: ListRecord,
    previous: ListRecord | None,
    behaviors: list[BehaviorRecord],
    trends: Mapping[int | None, TrendSnapshot],
) -> Recorded:
    """Return the rows of a list, of which none is missing.

    Raises:
        ExplainError: one is.
    """
    if made.list_version != (previous.list_version if previous else 0) + 1:
        msg = f"version {made.list_version - 1} of user {made.user_id}'s list is not in the tables: only it is recorded"
        raise ExplainError(msg)
    if made.trend_snapshot is not None and made.trend_snapshot not in trends:
        msg = f"trend snapshot {made.trend_snapshot}, which the list was blended with, is not in the tables"
        raise ExplainError(msg)
    return Recorded(
        made=made,
        previous=previous,
        behaviors=tuple(_up_to(behaviors, made)),
        trends=None if made.trend_snapshot is None else trends[made.trend_snapshot],
    )


def _lists(rows: list[dict[str, Any]]) -> list[ListRecord]:
    return [_converted(row, ListRecord) for row in rows]


def _converted(row: dict[str, Any], kind: type[Any]) -> Any:
    try:
        return msgspec.convert(row, kind)
    except msgspec.ValidationError as error:
        msg = f"a row of the tables is damaged, so the list cannot be recomputed: {error}"
        raise ExplainError(msg) from error


def _up_to(behaviors: list[BehaviorRecord], made: ListRecord) -> list[BehaviorRecord]:
    """Return the behaviours up to the list's own; of a list that was swept, up to its newest.

    Raises:
        ExplainError: the numbers of the applied ones have a gap.
    """
    found = []
    for each in behaviors:
        if each.user_seq is not None and each.user_seq > made.user_seq:
            break
        found.append(each)
    numbers = [each.user_seq for each in found if each.user_seq is not None]
    if numbers != list(range(1, made.user_seq + 1)):
        msg = (
            f"of the {made.user_seq} behaviours of user {made.user_id} that the list was made after, the tables hold "
            f"{len(numbers)}: the others may be in other tables, if the job went on from a savepoint of another one"
        )
        raise ExplainError(msg)
    return found


def _snapshot(row: dict[str, Any]) -> TrendSnapshot:
    strengths = dict(zip(row["items"], row["strengths"], strict=True))
    return TrendSnapshot(snapshot_id=row["snapshot_id"], strengths=strengths)
