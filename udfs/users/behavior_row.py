"""The row that track-users writes."""

from udfs.elements import LoggedBehavior
from udfs.rows import UserBehaviorRow


def user_behavior_row(behavior: LoggedBehavior, user_seq: int | None, *, now_ms: int, epoch: int) -> UserBehaviorRow:
    """Return the row of an applied behaviour, or, without a user_seq, of a duplicate."""
    return UserBehaviorRow(
        user_id=behavior.user_id,
        action=behavior.action,
        item_id=behavior.item_id,
        timestamp=behavior.timestamp,
        event_id=behavior.event_id,
        request_id=behavior.request_id,
        position=behavior.position,
        outcome="duplicate" if user_seq is None else "applied",
        user_seq=user_seq,
        log_partition=behavior.log_partition,
        log_offset=behavior.log_offset,
        appended_at=behavior.appended_at,
        written_at=now_ms,
        epoch=epoch,
    )
