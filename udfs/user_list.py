"""A user's recommendation list: what update-lists keeps of each user, and the two policies that change it.

Pure: no Flink, no clock, no input or output. The same scored behaviours in the same order give the same lists.
"""

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from itertools import chain
from typing import NamedTuple

from model.actions import ActionTable, Kind
from udfs.elements import Candidate, ScoredBehavior
from udfs.hashing import id_hash, unpack


class Policy(StrEnum):
    """How a behaviour changes the list."""

    RECOMMEND = "recommend"
    """Model scores, filtered, blended, filled."""
    HISTORY = "history"
    """A positive act appends its item; a terminal one appends it and sorts by action weight again."""


class ReasonCode(IntEnum):
    """Why an item is in a list. In place of a code an item id says: because of that item of the history."""

    MODEL = 0
    TRENDING = 1
    POPULAR = 2
    HISTORY = 3


Reason = int | str
"""A `ReasonCode` or the id of the history item that the listed one is a near neighbour of."""


@dataclass(frozen=True, slots=True)
class ListRules:
    """How lists are made.

    Attributes:
        actions: the action table.
        policy: which of the two policies.
        length: how many items a list has at most.
        max_per_group: how many items of one group at most; None sets no bound.
        max_new_items: how many items one behaviour may bring into a list; None sets no bound. A shorter list is
            always filled.
        trend_weight: how much of an item's score its trend is, 0 to 1.
        impression_discount: what an item's score is multiplied by for each time it was shown without an act.
        exclude_seen: whether an item of the history may not be recommended again.
        withdrawn: items that nobody may be shown.
    """

    actions: ActionTable
    policy: Policy = Policy.RECOMMEND
    length: int = 10
    max_per_group: int | None = None
    max_new_items: int | None = None
    trend_weight: float = 0.1
    impression_discount: float = 0.8
    exclude_seen: bool = True
    withdrawn: frozenset[str] = frozenset()


@dataclass(slots=True)
class UserList:
    """The list as it stands, best first.

    Attributes:
        list_version: how many lists the user had, this one included.
        user_seq: the behaviour it was made after.
        items: item ids.
        scores: float32, falling; their scale is 0 to 1 under `recommend`, the action's weight under `history`.
        reasons: why each item is there.
    """

    list_version: int = 0
    user_seq: int = 0
    items: list[str] = field(default_factory=list)
    scores: "array[float]" = field(default_factory=lambda: array("f"))
    reasons: list[Reason] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Fallbacks:
    """What fills a list that the model leaves short, and which group each item is of.

    Attributes:
        popular: item ids, most popular first.
        trending: item id -> strength, 0 to 1, strongest first; also blended into the model's scores.
        snapshot_id: which trends these are; None where there are none.
        groups: item id -> group; needed only where `max_per_group` is set.
    """

    popular: Sequence[str] = ()
    trending: Mapping[str, float] = field(default_factory=dict)
    snapshot_id: int | None = None
    groups: Mapping[str, str] = field(default_factory=dict)


class Entry(NamedTuple):
    """One item on its way into a list."""

    item_id: str
    score: float
    reason: Reason


class SequenceGapError(Exception):
    """A behaviour was lost or came twice between track-users and update-lists: the job must restore."""


def update(previous: UserList, scored: ScoredBehavior, rules: ListRules, fallbacks: Fallbacks) -> UserList:
    """The list after one more behaviour.

    Raises:
        SequenceGapError: the behaviour is not the one that follows the list's last.
    """
    if scored.user_seq != previous.user_seq + 1:
        user = scored.behavior.user_id
        msg = f"user {user!r}: behaviour {scored.user_seq} came after {previous.user_seq}"
        raise SequenceGapError(msg)
    entries = _POLICIES[rules.policy](previous, scored, rules, fallbacks)
    return UserList(
        previous.list_version + 1,
        scored.user_seq,
        [entry.item_id for entry in entries],
        array("f", [entry.score for entry in entries]),
        [entry.reason for entry in entries],
    )


def reason_text(reason: Reason) -> str:
    """The reason as tables show it: "model", "trending", "popular", "history" or "because:ITEM"."""
    return f"because:{reason}" if isinstance(reason, str) else ReasonCode(reason).name.lower()


def _entries(user_list: UserList) -> Iterator[Entry]:
    return map(Entry._make, zip(user_list.items, user_list.scores, user_list.reasons, strict=True))


def _recommend(previous: UserList, scored: ScoredBehavior, rules: ListRules, fallbacks: Fallbacks) -> list[Entry]:
    kept = _Filter(scored, rules)
    before = [entry for entry in _entries(previous) if kept(entry.item_id)]
    # Without scores what was there stays, at scores that trends and impressions are in already.
    ranked = before
    if scored.candidates is not None:
        proposed = (entry for entry in _unit_scores(scored.candidates) if kept(entry.item_id))
        ranked = sorted(_blend(proposed, scored, rules, fallbacks), key=lambda entry: (-entry.score, entry.item_id))
    if rules.max_new_items is not None and before:
        ranked = _calm(ranked, before, rules.max_new_items, rules.length)
    picked = _pick(chain(ranked, _fill(kept, fallbacks)), rules, fallbacks)
    return sorted(picked, key=lambda entry: -entry.score)


class _Filter:
    """Whether an item may be shown to the user after this behaviour."""

    def __init__(self, scored: ScoredBehavior, rules: ListRules) -> None:
        self._excluded = frozenset(unpack(scored.excluded))
        self._history = frozenset(scored.history) if rules.exclude_seen else frozenset[str]()
        self._withdrawn = rules.withdrawn

    def __call__(self, item_id: str) -> bool:
        return not (item_id in self._history or item_id in self._withdrawn or id_hash(item_id) in self._excluded)


def _unit_scores(candidates: Sequence[Candidate]) -> Iterator[Entry]:
    """The candidates with scores scaled to 0 (the worst of them) to 1 (the best), whatever the model's scale."""
    scores = [candidate.score for candidate in candidates]
    low = min(scores, default=0.0)
    spread = max(scores, default=0.0) - low or 1.0
    for candidate, score in zip(candidates, scores, strict=True):
        reason = ReasonCode.MODEL if candidate.because is None else candidate.because
        yield Entry(candidate.item_id, (score - low) / spread, reason)


def _blend(entries: Iterable[Entry], scored: ScoredBehavior, rules: ListRules, fallbacks: Fallbacks) -> Iterator[Entry]:
    """Mixes in what is trending, and discounts what was shown and shown again without an act."""
    shown = dict(scored.shown)
    trending = fallbacks.trending
    for entry in entries:
        score = entry.score
        if trending:
            score += rules.trend_weight * (trending.get(entry.item_id, 0.0) - score)
        if shown:
            score *= rules.impression_discount ** shown.get(id_hash(entry.item_id), 0)
        yield entry if score == entry.score else entry._replace(score=score)


def _calm(ranked: list[Entry], before: list[Entry], max_new: int, length: int) -> list[Entry]:
    """Of the newcomers that are among the best, at most `max_new`; what was there before takes the other places.

    It does so at its new or old score. Who was there and found no place comes last: a full group may yet make room.
    """
    scores_now = {entry.item_id: entry for entry in ranked}
    stayed = [scores_now.get(entry.item_id, entry) for entry in before]
    stayed.sort(key=lambda entry: (-entry.score, entry.item_id))
    known = {entry.item_id for entry in before}
    newcomers = [entry for entry in ranked[:length] if entry.item_id not in known]
    newcomers = newcomers[: max(max_new, length - len(before))]
    places = length - len(newcomers)
    chosen = sorted(stayed[:places] + newcomers, key=lambda entry: (-entry.score, entry.item_id))
    return chosen + stayed[places:]


def _fill(kept: _Filter, fallbacks: Fallbacks) -> Iterator[Entry]:
    """What is trending, then what is popular; below everything that was scored."""
    for item_id in fallbacks.trending:
        if kept(item_id):
            yield Entry(item_id, 0.0, ReasonCode.TRENDING)
    for item_id in fallbacks.popular:
        if kept(item_id):
            yield Entry(item_id, 0.0, ReasonCode.POPULAR)


def _pick(entries: Iterable[Entry], rules: ListRules, fallbacks: Fallbacks) -> list[Entry]:
    """The first `length` entries, each item once, at most `max_per_group` of one (named) group."""
    picked: dict[str, Entry] = {}
    groups: Counter[str] = Counter()
    for entry in entries:
        if len(picked) == rules.length:
            break
        group = fallbacks.groups.get(entry.item_id, "") if rules.max_per_group else ""
        if entry.item_id in picked or (group and groups[group] == rules.max_per_group):
            continue
        picked[entry.item_id] = entry
        groups[group] += 1
    return list(picked.values())


def _history(previous: UserList, scored: ScoredBehavior, rules: ListRules, _fallbacks: Fallbacks) -> list[Entry]:
    action = rules.actions[scored.behavior.action]
    item_id = scored.behavior.item_id
    entries = [entry for entry in _entries(previous) if entry.item_id not in rules.withdrawn]
    if action.kind is Kind.EXPOSURE:
        return entries
    entries = [entry for entry in entries if entry.item_id != item_id]
    if action.kind in {Kind.POSITIVE, Kind.TERMINAL} and item_id not in rules.withdrawn:
        entries.append(Entry(item_id, action.weight, ReasonCode.HISTORY))
    if action.kind is Kind.TERMINAL:
        return sorted(entries, key=lambda entry: -entry.score)[: rules.length]
    return entries[-rules.length :]


_POLICIES = {Policy.RECOMMEND: _recommend, Policy.HISTORY: _history}
