"""An A/B test's figures by plain loops over the rows of the views: what the report's SQL has to equal."""

import math
from collections import defaultdict
from pathlib import Path
from typing import Any

from job.tables import duck

Figures = dict[str, tuple[int, int, int, float, float]]


def figures(tables: Path, actions: set[str], top: int) -> Figures:
    """Variant -> users who acted, behaviours, hits, mean of users' hit rates, its standard error."""
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
    shares = [sum(each) / len(each) for each in users]
    rate = sum(shares) / len(shares)
    variance = sum((share - rate) ** 2 for share in shares) / max(1, len(users) - 1)
    return len(users), behaviors, hits, rate, (variance / len(users)) ** 0.5


def interval(rate: float, error: float) -> list[float]:
    """Robbins' mixture: the range that holds a rate with 95 % at all times together, narrowest at .02."""
    known = error**2 / 0.02**2
    reach = (error**2 * (1 + known) * math.log((1 + 1 / known) / 0.05**2)) ** 0.5
    return [rate - reach, rate + reach]
