"""The answer to "what is this user shown now?", made of a published list and what happened since. Pure."""

import secrets
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from job.serving.answers import Recommendations, RecommendedItem
from job.serving.catalogue import Catalogue
from job.serving.history import History
from model.actions import ActionTable, Kind
from model.records import ItemId, UserId
from udfs.lists.list_rules import Policy
from udfs.rows import RecommendationListRow

_ACTED = {Kind.TERMINAL, Kind.NEGATIVE}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRules:
    """Rules for what may be shown.

    Attributes:
        actions: the job's action table.
        withdrawn: returns the items that nobody may be shown.
        exclude_seen: whether an item that the user acted on may not be recommended again.
    """

    actions: ActionTable
    withdrawn: Callable[[], Collection[ItemId]]
    exclude_seen: bool


def recommendations(
    user_id: UserId,
    row: RecommendationListRow | None,
    history: History,
    *,
    rules: ReadRules,
    catalogue: Catalogue,
    trending: Mapping[ItemId, float],
    n: int,
    exclude: Collection[ItemId],
    now_ms: int,
) -> Recommendations:
    """Return a user's list without what may no longer be shown; of an unknown user what is trending, then popular."""
    hidden = {*rules.withdrawn(), *exclude}
    if row is None:
        hidden.update(_acted_on(history, rules, after=None))
        return _for_everyone(user_id, catalogue, trending, n, hidden)
    if row.policy != Policy.HISTORY:
        hidden.update(_acted_on(history, rules, after=(row.log_partition, row.log_offset)))
    kept = [entry for entry in _entries(row) if entry[0] not in hidden]
    return Recommendations(
        user_id=user_id,
        request_id=_request_id(),
        items=_items(kept[:n], catalogue),
        source="list",
        scored=row.source,
        fallback_reason=row.fallback_reason,
        list_version=row.list_version,
        epoch=row.epoch,
        model_version=row.model_version,
        model_hash=row.model_hash,
        variant=row.variant,
        made_at=row.written_at,
        age_ms=max(0, now_ms - row.written_at),
        log_partition=row.log_partition,
        log_offset=row.log_offset,
        removed=len(row.items) - len(kept),
    )


_Entry = tuple[ItemId, float, str]


def _entries(row: RecommendationListRow) -> Iterator[_Entry]:
    return zip(row.items, row.scores, row.reasons, strict=True)


def _items(entries: Sequence[_Entry], catalogue: Catalogue) -> list[RecommendedItem]:
    titles, groups = catalogue.titles, catalogue.groups
    return [
        RecommendedItem(
            item_id=item_id,
            position=position,
            score=score,
            reason=reason,
            title=titles.get(item_id),
            group=groups.get(item_id),
        )
        for position, (item_id, score, reason) in enumerate(entries)
    ]


def _for_everyone(
    user_id: UserId, catalogue: Catalogue, trending: Mapping[ItemId, float], n: int, hidden: Collection[ItemId]
) -> Recommendations:
    chosen: dict[ItemId, _Entry] = {}
    popular: Iterable[_Entry] = ((item_id, 0.0, "popular") for item_id in catalogue.popular)
    trends: Iterable[_Entry] = ((item_id, strength, "trending") for item_id, strength in trending.items())
    for entry in chain(trends, popular):
        if len(chosen) == n:
            break
        if entry[0] not in hidden:
            chosen.setdefault(entry[0], entry)
    entries = list(chosen.values())
    source = entries[0][2] if entries else "none"
    return Recommendations(
        user_id=user_id,
        request_id=_request_id(),
        items=_items(entries, catalogue),
        source="trending" if source == "trending" else "popular" if source == "popular" else "none",
    )


def _acted_on(history: History, rules: ReadRules, after: tuple[int, int] | None) -> set[ItemId]:
    """Return the items that the user's behaviours after a place in the log forbid to show; all of them without one."""
    acted: set[ItemId] = set()
    for behavior in history.behaviors:
        if after is not None and (behavior.log_partition != after[0] or behavior.log_offset <= after[1]):
            continue
        action = rules.actions.get(behavior.action)
        kind = None if action is None else action.kind  # the table may be another one since
        if kind in _ACTED or (kind is Kind.POSITIVE and rules.exclude_seen):
            acted.add(behavior.item_id)
        elif kind is Kind.REVERSAL:
            acted.discard(behavior.item_id)
    return acted


def _request_id() -> str:
    return secrets.token_hex(12)
