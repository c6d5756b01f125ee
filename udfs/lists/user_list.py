"""A user's recommendation list: the state that update-lists keeps of each user, and the two policies that change it.

Pure: no Flink, no clock, no input or output. The same scored behaviours in the same order give the same lists.
"""

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from functools import cached_property
from itertools import chain
from operator import itemgetter, neg

from model.actions import ActionTable, Kind
from model.errors import RecloopError
from udfs.elements import Candidates, ScoredBehavior
from udfs.hashing import id_hash, unpack


class Policy(StrEnum):
    """The method by which a behaviour changes the list."""

    RECOMMEND = "recommend"
    """Model scores, filtered, blended, filled."""
    HISTORY = "history"
    """A positive act appends its item; a terminal one appends it and sorts by action weight again."""


class ReasonCode(IntEnum):
    """The reason why an item is in a list.

    An item id in place of a code means: because of that item of the history.
    """

    MODEL = 0
    TRENDING = 1
    POPULAR = 2
    HISTORY = 3


Reason = int | str
"""A `ReasonCode` or the id of the history item that the listed one is a near neighbour of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListRules:
    """Rules for making lists.

    Attributes:
        actions: the action table.
        policy: one of the two policies.
        length: most items of a list.
        max_per_group: most items of one group; None sets no bound.
        max_new_items: most items that one behaviour may bring into a list; None sets no bound. A shorter list is
            always filled.
        trend_weight: share of its trend in an item's score, 0 to 1.
        impression_discount: factor on an item's score for each time it was shown without an act.
        exclude_seen: whether an item of the history may not be recommended again.
        withdrawn: items that nobody may be shown.
    """

    actions: ActionTable
    policy: Policy
    length: int
    max_per_group: int | None
    max_new_items: int | None
    trend_weight: float
    impression_discount: float
    exclude_seen: bool
    withdrawn: frozenset[str]


@dataclass(slots=True)
class UserList:
    """The list as it stands, best first.

    Attributes:
        list_version: number of lists the user had, this one included.
        user_seq: number of the behaviour it was made after.
        items: item ids.
        scores: float32, falling; their scale is 0 to 1 under `recommend`, the action's weight under `history`.
        reasons: the reason for each item.
    """

    list_version: int = 0
    user_seq: int = 0
    items: list[str] = field(default_factory=list)
    scores: "array[float]" = field(default_factory=lambda: array("f"))
    reasons: list[Reason] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Fallbacks:
    """The items that fill a list which the model leaves short, and the group of each item.

    Attributes:
        popular: item ids, most popular first.
        trending: item id -> strength, 0 to 1, strongest first; also blended into the model's scores.
        snapshot_id: number of these trends; None where there are none.
        groups: item id -> group; needed only where `max_per_group` is set.
    """

    popular: Sequence[str] = ()
    trending: Mapping[str, float] = field(default_factory=dict)
    snapshot_id: int | None = None
    groups: Mapping[str, str] = field(default_factory=dict)


Entry = tuple[float, str, Reason]
"""One item on its way into a list: minus its score, so that the best sorts first, its id, and why it is there."""
_MODEL = ReasonCode.MODEL
_best_first = itemgetter(0, 1)
_cost = itemgetter(0)


class SequenceGapError(RecloopError):
    """A behaviour that was lost or came twice between track-users and update-lists: the job must restore."""


def update(previous: UserList, scored: ScoredBehavior, rules: ListRules, fallbacks: Fallbacks) -> UserList:
    """Return the list after one more behaviour.

    Raises:
        SequenceGapError: the behaviour is not the one that follows the list's last.
    """
    if scored.user_seq != previous.user_seq + 1:
        user = scored.behavior.user_id
        msg = f"user {user!r}: behaviour {scored.user_seq} came after {previous.user_seq}"
        raise SequenceGapError(msg)
    entries = _POLICIES[rules.policy](previous, scored, rules, fallbacks)
    return _next_list(previous, scored.user_seq, entries)


def swept(previous: UserList, excluded: bytes, rules: ListRules, fallbacks: Fallbacks) -> UserList:
    """Return the list without withdrawn items; under `recommend` it is filled up again, below the items that stay.

    Args:
        previous: the list as it stands.
        excluded: packed hashes of items that must not fill it up.
        rules: rules for making lists.
        fallbacks: the items that fill it up.
    """
    entries = [entry for entry in _entries(previous) if entry[1] not in rules.withdrawn]
    if rules.policy is Policy.RECOMMEND:
        entries = _pick(chain(entries, _fill(_Filter(excluded, rules), fallbacks)), rules, fallbacks)
        entries.sort(key=_cost)
    return _next_list(previous, previous.user_seq, entries)


def reason_text(reason: Reason) -> str:
    """Return the reason as tables show it: "model", "trending", "popular", "history" or "because:ITEM"."""
    return f"because:{reason}" if isinstance(reason, str) else _REASON_TEXTS[reason]


_REASON_TEXTS = {int(code): code.name.lower() for code in ReasonCode}


def _next_list(previous: UserList, user_seq: int, entries: list[Entry]) -> UserList:
    return UserList(
        list_version=previous.list_version + 1,
        user_seq=user_seq,
        items=[item_id for _, item_id, _ in entries],
        scores=array("f", [0.0 - cost for cost, _, _ in entries]),  # -cost would make -0.0 of 0.0
        reasons=[reason for _, _, reason in entries],
    )


def _entries(user_list: UserList) -> Iterator[Entry]:
    rows = zip(user_list.items, user_list.scores, user_list.reasons, strict=True)
    return ((-score, item_id, reason) for item_id, score, reason in rows)


def _recommend(previous: UserList, scored: ScoredBehavior, rules: ListRules, fallbacks: Fallbacks) -> list[Entry]:
    if scored.excluded is None and scored.candidates is not None:
        ranked = _blend(scored.candidates, scored.shown, rules, fallbacks)
        return sorted(_pick(ranked, rules, fallbacks), key=_cost)
    excluded = scored.excluded or b""
    kept = _Filter(excluded + scored.history if rules.exclude_seen else excluded, rules)
    if scored.candidates is None:
        # The list's items stay, at scores that already include trends and impressions.
        ranked = kept.of(list(_entries(previous)))
    else:
        ranked = kept.of(_blend(scored.candidates, scored.shown, rules, fallbacks))
    if rules.max_new_items is not None:
        before = kept.of(list(_entries(previous)))
        ranked = _limit_new_items(ranked, before, rules.max_new_items, rules.length) if before else ranked
    picked = _pick(chain(ranked, _fill(kept, fallbacks)), rules, fallbacks)
    picked.sort(key=_cost)
    return picked


class _Filter:
    """A test of whether an item may be shown to the user; `excluded` are packed hashes of those that may not."""

    def __init__(self, excluded: bytes, rules: ListRules) -> None:
        self._packed = excluded
        self._withdrawn = rules.withdrawn

    def __call__(self, item_id: str) -> bool:
        return id_hash(item_id) not in self._excluded and item_id not in self._withdrawn

    def of(self, entries: list[Entry]) -> list[Entry]:
        """Return the entries that may be shown.

        Of a model's candidates, for which the same was excluded, these are nearly always all.
        """
        hashes = {id_hash(item_id) for _, item_id, _ in entries}
        if hashes.isdisjoint(unpack(self._packed)) and not self._withdrawn:
            return entries
        return [entry for entry in entries if self(entry[1])]

    @cached_property
    def _excluded(self) -> frozenset[int]:
        return frozenset(unpack(self._packed))


def _blend(
    candidates: Candidates, shown: Sequence[tuple[int, float]], rules: ListRules, fallbacks: Fallbacks
) -> list[Entry]:
    """Return the candidates, best first, with scores from 0 (the worst) to 1 (the best), whatever the model's scale.

    Trends are mixed in, and items that were shown again and again without an act are discounted.
    """
    raw = candidates.scores()
    low = min(raw, default=0.0)
    spread = max(raw, default=0.0) - low or 1.0
    scores = [(score - low) / spread for score in raw]
    if fallbacks.trending:
        trend, share = fallbacks.trending.get, rules.trend_weight
        rows = zip(candidates.items, scores, strict=True)
        scores = [score + share * (trend(item_id, 0.0) - score) for item_id, score in rows]
    if shown:
        times, factor = dict(shown), rules.impression_discount
        rows = zip(candidates.items, scores, strict=True)
        scores = [score * factor ** times.get(id_hash(item_id), 0) for item_id, score in rows]
    reasons = (_MODEL if because is None else because for because in candidates.because)
    return sorted(zip(map(neg, scores), candidates.items, reasons, strict=True), key=_best_first)


def _limit_new_items(ranked: list[Entry], before: list[Entry], max_new: int, length: int) -> list[Entry]:
    """Limit the new items among the best to `max_new`; items that were there before take the other places.

    These have their new score, or else their old one. Those that find no place come last: a full group may yet make
    room for them.
    """
    scored_now = {entry[1]: entry for entry in ranked}
    stayed = sorted((scored_now.get(entry[1], entry) for entry in before), key=_best_first)
    known = {item_id for _, item_id, _ in before}
    newcomers = [entry for entry in ranked[:length] if entry[1] not in known]
    # A list that was shorter takes more of them: it is always filled.
    newcomers = newcomers[: max(max_new, length - len(before))]
    places = length - len(newcomers)
    chosen = sorted(stayed[:places] + newcomers, key=_best_first)
    return chosen + stayed[places:]


def _fill(kept: _Filter, fallbacks: Fallbacks) -> Iterator[Entry]:
    """Yield trending items, then popular ones; all below everything that was scored."""
    for item_id in fallbacks.trending:
        if kept(item_id):
            yield 0.0, item_id, ReasonCode.TRENDING
    for item_id in fallbacks.popular:
        if kept(item_id):
            yield 0.0, item_id, ReasonCode.POPULAR


def _pick(entries: Iterable[Entry], rules: ListRules, fallbacks: Fallbacks) -> list[Entry]:
    """Return the first `length` entries, each item once, at most `max_per_group` of one (named) group."""
    picked: dict[str, Entry] = {}
    groups: Counter[str] = Counter()
    for entry in entries:
        item_id = entry[1]
        if item_id in picked:
            continue
        if rules.max_per_group and (group := fallbacks.groups.get(item_id, "")):
            if groups[group] == rules.max_per_group:
                continue
            groups[group] += 1
        picked[item_id] = entry
        if len(picked) == rules.length:
            break
    return list(picked.values())


def _history(previous: UserList, scored: ScoredBehavior, rules: ListRules, _fallbacks: Fallbacks) -> list[Entry]:
    action = rules.actions[scored.behavior.action]
    acted = scored.behavior.item_id
    entries = [entry for entry in _entries(previous) if entry[1] not in rules.withdrawn]
    if action.kind is Kind.EXPOSURE:
        return entries[-rules.length :]
    entries = [entry for entry in entries if entry[1] != acted]
    if action.kind in {Kind.POSITIVE, Kind.TERMINAL} and acted not in rules.withdrawn:
        entries.append((-action.weight, acted, ReasonCode.HISTORY))
    if action.kind is Kind.TERMINAL:
        return sorted(entries, key=_cost)[: rules.length]
    return entries[-rules.length :]


_POLICIES = {Policy.RECOMMEND: _recommend, Policy.HISTORY: _history}
