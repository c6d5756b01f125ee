"""The end of the sweep: lists that hold a withdrawn item are made anew. `udfs.users.sweep_users` drives it."""

from dataclasses import dataclass

from udfs.elements import Begun, ListOwner
from udfs.lists.entries import reason_text
from udfs.lists.list_codec import decode_list
from udfs.lists.list_rules import Fallbacks, ListRules, Policy
from udfs.lists.user_list import UserList, swept
from udfs.rows import RecommendationListRow

_WITHDRAWN = "withdrawn"
"""The cause of a list that was swept, in place of an action."""


@dataclass(frozen=True, slots=True)
class SweptList:
    """A list that was made anew, and the item that caused it."""

    user_id: str
    made: UserList
    item_id: str


def sweep_list(owner: ListOwner, state: bytes | None, rules: ListRules, fallbacks: Fallbacks) -> SweptList | None:
    """Return the user's next list; None where the list holds no withdrawn item, or there is no list."""
    if state is None:
        return None
    before = decode_list(state)
    gone = next((item for item in before.items if item in rules.withdrawn), None)
    if gone is None:
        return None
    made = swept(before, owner.excluded, rules, fallbacks)
    return SweptList(user_id=owner.user_id, made=made, item_id=gone)


def swept_list_row(
    swept_list: SweptList, *, policy: Policy, begun: Begun, trend_snapshot: int | None, now_ms: int, epoch: int
) -> RecommendationListRow:
    """Return the row of a list that was swept; its cause is the item, and no behaviour."""
    made = swept_list.made
    return RecommendationListRow(
        user_id=swept_list.user_id,
        items=made.items,
        scores=[round(score, 6) for score in made.scores],
        reasons=[reason_text(reason) for reason in made.reasons],
        propensities=made.propensities.tolist() or None,
        list_version=made.list_version,
        user_seq=made.user_seq,
        action=_WITHDRAWN,
        item_id=swept_list.item_id,
        log_partition=begun.log_partition,
        log_offset=begun.log_offset,
        policy=policy.value,
        source="rules",
        fallback_reason=None,
        model_version=None,
        model_hash=None,
        variant=None,
        trend_snapshot=trend_snapshot,
        batch_size=None,
        timestamp=now_ms,
        appended_at=None,
        written_at=now_ms,
        epoch=epoch,
    )
