"""The rows that a checkpoint's state makes: one struct a table, its columns in order, with their meaning."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from job.checkpoints.checkpoint import Checkpoint, UserState
from job.checkpoints.item_names import ItemNames
from model.actions import DEFAULT_ACTIONS
from udfs.lists.entries import reason_text
from udfs.lists.user_list import UserList
from udfs.log.position import LogPosition
from udfs.rows import Int32
from udfs.users.profile import UserProfile

_ACTIONS: Mapping[int, str] = {action.code: name for name, action in DEFAULT_ACTIONS.items()}
_UserId = Annotated[str, Meta(description="whose")]
_UserSeq = Annotated[int, Meta(description="number of the user's behaviours that were applied")]


class UserRow(msgspec.Struct, kw_only=True):
    """A user's profile, as track-users keeps it."""

    user_id: _UserId
    user_seq: _UserSeq
    history: Annotated[list[str], Meta(description="kept history, oldest first; of an unknown item its hash, #...")]
    history_actions: Annotated[list[str], Meta(description="action of each")]
    history_times: Annotated[list[float], Meta(description="event time of each, epoch seconds")]
    seen: Annotated[list[str], Meta(description="items that left the history, oldest first")]
    bought: Annotated[list[str], Meta(description="items that are owned")]
    disliked: Annotated[list[str], Meta(description="items that are disliked")]
    shown: Annotated[list[str], Meta(description="items that were shown and not acted on since")]
    impressions: Annotated[list[float], Meta(description="number of impressions of each of these, faded")]
    event_ids: Annotated[int, Meta(description="number of event ids known for dropping repeated events")]
    forgotten: Annotated[int, Meta(description="entries that were dropped beyond a bound")]


class ListRow(msgspec.Struct, kw_only=True):
    """A user's list, as update-lists keeps it."""

    user_id: _UserId
    list_version: Annotated[int, Meta(description="number of lists the user had, this one included")]
    user_seq: Annotated[int, Meta(description="number of the behaviour that it was made after")]
    items: Annotated[list[str], Meta(description="item ids, best first")]
    scores: Annotated[list[float], Meta(description="score of each")]
    reasons: Annotated[list[str], Meta(description="why each is there")]


class PositionRow(msgspec.Struct, kw_only=True):
    """The position up to which a partition of the log was read."""

    log_partition: Annotated[Int32, Meta(description="number of the partition")]
    next_offset: Annotated[int, Meta(description="offset that is read next: state holds what is before it")]
    newest_ms: Annotated[int, Meta(description="newest event time so far, epoch ms")]
    epoch: Annotated[int, Meta(description="of the attempt that read it")]


class TrendRow(msgspec.Struct, kw_only=True):
    """The recent weight of an item over all users."""

    item_id: Annotated[str, Meta(description="which item")]
    weight: Annotated[float, Meta(description="sum of weights, to be compared with other items' only")]


StateRow = UserRow | ListRow | PositionRow | TrendRow
STATE_TABLES: Mapping[str, type[StateRow]] = {
    "users": UserRow,
    "lists": ListRow,
    "log_positions": PositionRow,
    "trends": TrendRow,
}


def rows_of(checkpoint: Checkpoint) -> Iterator[tuple[str, Iterable[StateRow]]]:
    """Yield the name and the rows of each table; each table's rows are to be read before the next one's."""
    names = ItemNames()

    def lists() -> Iterator[ListRow]:
        for user_id, user_list in checkpoint.lists():
            names.add(user_list.items)
            yield list_row(user_id, user_list)

    def trends() -> Iterator[TrendRow]:
        for item_id, weight in checkpoint.trends():
            names.add([item_id])
            yield TrendRow(item_id=item_id, weight=weight)

    yield "log_positions", map(position_row, checkpoint.positions())
    yield "lists", lists()
    yield "trends", trends()
    # Last, as the tables before name the items whose hashes profiles hold.
    yield "users", (user_row(user_id, profile, names) for user_id, profile in checkpoint.profiles())


def user_row(user_id: str, profile: UserProfile, names: ItemNames) -> UserRow:
    """Return the row of a profile."""
    return UserRow(
        user_id=user_id,
        user_seq=profile.user_seq,
        history=names.all(profile.items),
        history_actions=[_ACTIONS.get(code, f"code {code}") for code in profile.actions],
        history_times=[float(time_s) for time_s in profile.times],
        seen=names.all(profile.seen),
        bought=names.all(profile.bought),
        disliked=names.all(profile.disliked),
        shown=names.all(profile.shown),
        impressions=[round(each.impressions, 3) for each in profile.shown.values()],
        event_ids=len(profile.event_ids),
        forgotten=profile.forgotten,
    )


def list_row(user_id: str, user_list: UserList) -> ListRow:
    """Return the row of a list."""
    return ListRow(
        user_id=user_id,
        list_version=user_list.list_version,
        user_seq=user_list.user_seq,
        items=user_list.items,
        scores=[round(score, 6) for score in user_list.scores],
        reasons=[reason_text(reason) for reason in user_list.reasons],
    )


def position_row(position: LogPosition) -> PositionRow:
    """Return the row of a log partition's position."""
    return PositionRow(
        log_partition=position.partition,
        next_offset=position.next_offset,
        newest_ms=position.newest_ms,
        epoch=position.epoch,
    )


class UserRows(msgspec.Struct, kw_only=True):
    """The rows of one user; None for what there is none of."""

    profile: UserRow | None
    list: ListRow | None


def rows_of_user(state: UserState, names: ItemNames) -> UserRows:
    """Return the rows of one user's state; the items of the list are names too."""
    if state.user_list is not None:
        names.add(state.user_list.items)
    return UserRows(
        profile=None if state.profile is None else user_row(state.user_id, state.profile, names),
        list=None if state.user_list is None else list_row(state.user_id, state.user_list),
    )
