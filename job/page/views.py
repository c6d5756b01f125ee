"""Values for the page's templates and scripts: rows of tables with titles, without what nobody is shown."""

from collections.abc import Sequence
from typing import Any

from job.page.backend import Backend, Record

Shown = dict[str, Any]

_BECAUSE = "because:"
_FACTS = (
    "epoch", "user_seq", "action", "item_id", "source", "fallback_reason", "model_version", "variant", "log_partition",
    "log_offset",
)  # fmt: skip


def list_view(row: Record, backend: Backend) -> Shown:
    """Return a list with its items' titles, groups, scores and reasons."""
    items: Sequence[str] = row["items"]
    scores, reasons = _padded(row.get("scores"), len(items)), _padded(row.get("reasons"), len(items))
    entries = [
        {
            "item_id": item,
            "title": backend.title(item),
            "group": backend.group(item),
            "score": score,
            "reason": reason,
            "because": _because(reason, backend),
        }
        for item, score, reason in zip(items, scores, reasons, strict=True)
    ]
    cause = row.get("item_id")
    return {
        **{name: row.get(name) for name in _FACTS},
        "version": row.get("list_version"),
        "title": backend.title(cause) if cause else "",
        "at": row.get("timestamp"),
        "written_at": row.get("written_at"),
        "freshness_ms": freshness_ms(row),
        "cause": made_by_behavior(row),
        "entries": entries,
    }


def behavior_view(row: Record, backend: Backend) -> Shown:
    """Return a behaviour with its item's title."""
    return {
        "user_id": row.get("user_id"),
        "action": row["action"],
        "item_id": row["item_id"],
        "title": backend.title(row["item_id"]),
        "at": row["timestamp"],
        "log_partition": row["log_partition"],
        "log_offset": row["log_offset"],
        "outcome": row.get("outcome"),
    }


def feed_view(row: Record, backend: Backend) -> Shown:
    """Return a list as a line of Live's feed."""
    items: Sequence[str] = row["items"]
    made_by = row.get("model_version") or row.get("fallback_reason") or row.get("source")
    return {
        "user_id": row["user_id"],
        "first": (backend.title(items[0]) or items[0]) if items else "",
        "made_by": made_by,
        "freshness_ms": freshness_ms(row),
    }


def freshness_ms(row: Record) -> int | None:
    """Return the time from the behaviour's append to its list; None where that is not known or the list has none."""
    appended = row.get("appended_at")
    return max(0, row["written_at"] - appended) if appended is not None and made_by_behavior(row) else None


def made_by_behavior(row: Record) -> bool:
    """Return whether a behaviour caused the list, and not a withdrawn item."""
    return row.get("action") not in {None, "withdrawn"}


def _because(reason: str | None, backend: Backend) -> str:
    if reason is None or not reason.startswith(_BECAUSE):
        return ""
    item = reason.removeprefix(_BECAUSE)
    return backend.title(item) or item


def _padded(values: Any, length: int) -> list[Any]:
    return [*(values or ()), *([None] * length)][:length]
