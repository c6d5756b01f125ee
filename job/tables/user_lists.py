"""A user's recent behaviours and current list, and its changes from the previous list."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from job.tables.titles import Titles
from model.records import ItemId, UserId

Record = dict[str, object]

_BEHAVIORS = """
SELECT event_time, action, item_id, position, outcome, user_seq, log_partition, log_offset
FROM user_behavior WHERE user_id = ? ORDER BY epoch DESC, written_at DESC, log_offset DESC LIMIT ?
"""
_CURRENT = "SELECT * FROM latest_recommendation_lists WHERE user_id = ?"
_PREVIOUS = """
SELECT list_version, items FROM recommendation_lists
WHERE user_id = ? AND list_version < ? ORDER BY list_version DESC LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """A place of the list.

    Attributes:
        position: from 0, as in `UserBehavior.position`.
        moved: places that the item rose since the previous list, negative if it fell; None if it is new.
    """

    position: int
    item_id: ItemId
    title: str | None
    score: float | None
    reason: str | None
    moved: int | None


@dataclass(frozen=True, slots=True)
class UserLists:
    """The behaviours and lists of a user.

    Attributes:
        behaviors: newest first.
        current: the row of the current list; None if there is none yet.
        previous_version: version of the list that `entries` are compared with; None if there is none.
        gone: items of the previous list that are no longer in the current one.
    """

    user_id: UserId
    behaviors: list[Record]
    current: Record | None
    previous_version: int | None
    entries: list[Entry]
    gone: list[ItemId]

    @property
    def known(self) -> bool:
        """True if the tables have a behaviour or a list of the user."""
        return bool(self.behaviors) or self.current is not None

    def to_json(self) -> Record:
        """Return the same as plain dictionaries and lists."""
        return asdict(self)


def look_up(tables_dir: Path, user_id: UserId, last: int, titles: Titles) -> UserLists:
    """Read a user's last behaviours, current list and its changes, all from one state of the tables.

    Raises:
        TablesError: see `job.tables.duck.query`.
    """
    from job.tables import duck  # the `recloop` command starts without it

    with duck.connect(tables_dir) as connection:
        behaviors = duck.run(connection, _BEHAVIORS, [user_id, last]).records()
        current = next(iter(duck.run(connection, _CURRENT, [user_id]).records()), None)
        if current is None:
            return UserLists(
                user_id=user_id, behaviors=behaviors, current=None, previous_version=None, entries=[], gone=[]
            )
        previous = duck.run(connection, _PREVIOUS, [user_id, current["list_version"]]).rows
    version, before = previous[0] if previous else (None, [])
    items = _texts(current["items"])
    return UserLists(
        user_id=user_id,
        behaviors=behaviors,
        current=current,
        previous_version=version if isinstance(version, int) else None,
        entries=entries(current, _texts(before), titles),
        gone=[item for item in _texts(before) if item not in items],
    )


def entries(current: Record, before: Sequence[ItemId], titles: Titles) -> list[Entry]:
    """Return the places of a list's row, compared with the items of the list before it."""
    items = _texts(current["items"])
    scores, reasons = _padded(current["scores"], len(items)), _padded(current["reasons"], len(items))
    was = {item: position for position, item in enumerate(before)}
    return [
        Entry(
            position=position,
            item_id=item,
            title=titles.get(item),
            score=float(score) if isinstance(score, int | float) else None,
            reason=reason if isinstance(reason, str) else None,
            moved=was[item] - position if item in was else None,
        )
        for position, (item, score, reason) in enumerate(zip(items, scores, reasons, strict=True))
    ]


def _texts(value: object) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else []


def _padded(value: object, length: int) -> list[object]:
    values = value if isinstance(value, list) else []
    return [*values, *([None] * length)][:length]
