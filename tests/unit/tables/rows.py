"""Rows and committed files as the job writes them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

Row = Mapping[str, object]
HOUR = "dt=2026-03-01/hour=09"
HOUR_START_MS = 1_772_355_600_000
HOUR_MS = 3_600_000
OPEN_MS = HOUR_START_MS + 60_000
CLOSED_MS = HOUR_START_MS + 2 * HOUR_MS


def behavior(offset: int, *, epoch: int = 1, user: str = "u1", item: str = "i1") -> dict[str, object]:
    return {
        "user_id": user,
        "action": "click",
        "item_id": item,
        "timestamp": 1_700_000_000_123,
        "event_id": None,
        "outcome": "applied",
        "user_seq": offset + 1,
        "log_partition": 0,
        "log_offset": offset,
        "written_at": 1_700_000_000_500 + offset,
        "epoch": epoch,
    }


def made_list(version: int, items: Sequence[str], *, epoch: int = 1, user: str = "u1") -> dict[str, object]:
    return {
        "user_id": user,
        "items": list(items),
        "scores": [1.0 / (place + 1) for place in range(len(items))],
        "reasons": ["model"] * len(items),
        "list_version": version,
        "user_seq": version,
        "action": "click",
        "item_id": "i1",
        "log_partition": 0,
        "log_offset": version,
        "policy": "recommend",
        "source": "scored",
        "model_version": "7",
        "timestamp": 1_700_000_000_123,
        "written_at": 1_700_000_001_000 + version,
        "epoch": epoch,
    }


def minute(epoch: int, revision: int, events: int) -> dict[str, object]:
    counts = dict.fromkeys(("duplicates", "lists", "scored", "fallbacks", "freshness_count"), 0)
    return {
        "minute": 1_700_000_040_000,
        "revision": revision,
        "events": events,
        **counts,
        "freshness_p50_ms": 12.5,
        "written_at": 1,
        "epoch": epoch,
    }


def letter(offset: int, *, epoch: int = 1) -> dict[str, object]:
    return {"log_partition": 0, "log_offset": offset, "reason": "late", "written_at": 1, "epoch": epoch}


def prediction(offset: int, rank: int, model: str, *, epoch: int = 1) -> dict[str, object]:
    return {
        **{"user_id": "u1", "item_id": "i", "score": 1.0, "rank": rank, "user_seq": offset + 1, "model_hash": model},
        **{"log_partition": 0, "log_offset": offset, "timestamp": 1, "written_at": 1, "epoch": epoch},
    }


def commit(folder: Path, name: str, rows: Sequence[Row]) -> Path:
    """Write under a hidden name and rename, as Flink's FileSink does."""
    folder.mkdir(parents=True, exist_ok=True)
    hidden = folder / f".{name}.inprogress"
    hidden.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return hidden.rename(folder / name)
