"""An A/B test's figures by plain loops over the rows of the views: what the report's SQL has to equal."""

from collections import defaultdict
from pathlib import Path
from typing import Any

from job.tables import duck

Figures = dict[str, tuple[int, int, int, float, float]]


def figures(tables: Path, actions: set[str], top: int) -> Figures:
    """Variant -> users who acted, behaviours, hits, hit rate, its standard error over users."""
    lists: dict[object, dict[int, tuple[list[str], str | None]]] = defaultdict(dict)
    for user, seq, items, variant in _rows(tables, "user_id, user_seq, items, variant FROM recommendation_lists"):
        lists[user][seq] = (items, variant)
    trials: dict[str, dict[object, list[bool]]] = defaultdict(lambda: defaultdict(list))
    columns = "user_id, user_seq, item_id, action, outcome"
    for user, seq, item, action, outcome in _rows(tables, f"{columns} FROM user_behavior"):
        if outcome != "applied" or action not in actions:
            continue
        before = [other for other in lists[user] if other < seq]
        if before:
            items, variant = lists[user][max(before)]
            if variant is not None:
                trials[variant][user].append(item in items[:top])
    return {variant: _summary(list(users.values())) for variant, users in trials.items()}


def _rows(tables: Path, what: str) -> list[tuple[Any, ...]]:
    return duck.query(tables, f"SELECT {what}").rows


def _summary(users: list[list[bool]]) -> tuple[int, int, int, float, float]:
    behaviors, hits = sum(map(len, users)), sum(map(sum, users))
    rate = hits / behaviors
    residuals = [sum(each) - rate * len(each) for each in users]
    variance = sum(residual**2 for residual in residuals) * len(users) / max(1, len(users) - 1)
    return len(users), behaviors, hits, rate, variance**0.5 / behaviors
