from collections.abc import Sequence
from typing import Any

from model.records import UserBehavior
from udfs.rows import RecommendationListRow

NOW_MS = 1_700_000_000_000


def list_row(user_id: str = "u", items: Sequence[str] = ("a", "b", "c"), **changes: Any) -> RecommendationListRow:
    fields: dict[str, Any] = {
        "user_id": user_id,
        "items": list(items),
        "scores": [1.0 - place / 10 for place in range(len(items))],
        "reasons": ["model"] * len(items),
        "list_version": 1,
        "user_seq": 1,
        "action": "click",
        "item_id": "x",
        "log_partition": 0,
        "log_offset": 0,
        "policy": "recommend",
        "source": "scored",
        "fallback_reason": None,
        "model_version": "1",
        "model_hash": "ff",
        "variant": "default",
        "trend_snapshot": None,
        "batch_size": 1,
        "timestamp": NOW_MS,
        "appended_at": NOW_MS,
        "written_at": NOW_MS,
        "epoch": 1,
    }
    return RecommendationListRow(**(fields | changes))


def behavior(user_id: str = "u", item_id: str = "x", action: str = "click", **changes: Any) -> UserBehavior:
    return UserBehavior(user_id=user_id, action=action, item_id=item_id, timestamp=NOW_MS, **changes)
