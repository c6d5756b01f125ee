"""The rows that track-users writes, as lines of JSON."""

from udfs.elements import LoggedBehavior
from udfs.rows import UserBehaviorRow, to_line


def user_behavior_row(behavior: LoggedBehavior, user_seq: int | None, epoch: int, now_ms: int) -> str:
    """The line of an applied behaviour, or, without a user_seq, of a duplicate."""
    outcome = "duplicate" if user_seq is None else "applied"
    return to_line(
        UserBehaviorRow(
            behavior.user_id,
            behavior.action,
            behavior.item_id,
            behavior.timestamp,
            behavior.event_id,
            behavior.request_id,
            behavior.position,
            outcome,
            user_seq,
            behavior.log_partition,
            behavior.log_offset,
            behavior.appended_at,
            now_ms,
            epoch,
        )
    )
