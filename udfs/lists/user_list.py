"""A user's recommendation list: the state that update-lists keeps of each user, and the two policies that change it.

Pure: no Flink, no clock, no input or output. The same scored behaviours in the same order give the same lists.
"""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain

from model.actions import Kind
from model.errors import RecloopError
from udfs.elements import Candidates, ScoredBehavior
from udfs.lists.diversity import diversified
from udfs.lists.entries import Entry, Reason, ReasonCode, cost
from udfs.lists.explore import explored
from udfs.lists.list_rules import Fallbacks, ListRules, Policy
from udfs.lists.ranking import Filter, blend, fill, limit_new_items, pick


@dataclass(slots=True)
class UserList:
    """The list as it stands, best first.

    Attributes:
        list_version: number of lists the user had, this one included.
        user_seq: number of the behaviour it was made after.
        items: item ids.
        scores: float32, falling; their scale is 0 to 1 under `recommend`, the action's weight under `history`.
        reasons: the reason for each item.
        propensities: the probability with which each item got its place when it was drawn; empty where nothing is
            explored.
        renewed_ms: event time of the behaviour after which the model's candidates made it; 0 where no
            `update_interval_ms` is set.
    """

    list_version: int = 0
    user_seq: int = 0
    items: list[str] = field(default_factory=list)
    scores: "array[float]" = field(default_factory=lambda: array("f"))
    reasons: list[Reason] = field(default_factory=list)
    propensities: "array[float]" = field(default_factory=lambda: array("d"))
    renewed_ms: int = 0


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
    if rules.policy is Policy.HISTORY:
        return _next_list(previous, scored.user_seq, _history(previous, scored, rules))
    if scored.candidates is None or is_held(previous, scored, rules):
        kept = _keep(_entries(previous), _filter_of(scored, rules), rules, fallbacks)
        return _kept_list(previous, scored.user_seq, kept)
    return _recommend(previous, scored, scored.candidates, rules, fallbacks)


def is_held(previous: UserList, scored: ScoredBehavior, rules: ListRules) -> bool:
    """Return whether the list is too young, in event time, to be made of this behaviour's candidates."""
    if rules.update_interval_ms is None or not previous.items:
        return False
    # A time that was far ahead must not hold the list until then.
    return abs(scored.behavior.timestamp - previous.renewed_ms) < rules.update_interval_ms


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
        entries = pick(chain(entries, fill(Filter(excluded, rules), fallbacks)), rules, fallbacks.groups)
        entries.sort(key=cost)
    return _kept_list(previous, previous.user_seq, entries)


def _next_list(
    previous: UserList, user_seq: int, entries: list[Entry], propensities: Iterable[float] = (), renewed_ms: int = 0
) -> UserList:
    return UserList(
        list_version=previous.list_version + 1,
        user_seq=user_seq,
        items=[item_id for _, item_id, _ in entries],
        scores=array("f", [0.0 - cost for cost, _, _ in entries]),  # -cost would make -0.0 of 0.0
        reasons=[reason for _, _, reason in entries],
        propensities=array("d", propensities),
        renewed_ms=renewed_ms,
    )


def _kept_list(previous: UserList, user_seq: int, entries: list[Entry]) -> UserList:
    """Return the next list of items that stay and others that fill it up, which chance has no part in."""
    drawn = dict(zip(previous.items, previous.propensities, strict=True)) if previous.propensities else {}
    propensities = [drawn.get(item_id, 1.0) for _, item_id, _ in entries] if drawn else ()
    return _next_list(previous, user_seq, entries, propensities, previous.renewed_ms)


def _entries(user_list: UserList) -> Iterator[Entry]:
    rows = zip(user_list.items, user_list.scores, user_list.reasons, strict=True)
    return ((-score, item_id, reason) for item_id, score, reason in rows)


def _filter_of(scored: ScoredBehavior, rules: ListRules) -> Filter:
    excluded = scored.excluded or b""
    return Filter(excluded + scored.history if rules.exclude_seen else excluded, rules)


def _keep(entries: Iterable[Entry], allowed: Filter, rules: ListRules, fallbacks: Fallbacks) -> list[Entry]:
    """Return the items that may stay, at scores that already include trends and impressions, and fill up the list."""
    kept = pick(chain(allowed.of(list(entries)), fill(allowed, fallbacks)), rules, fallbacks.groups)
    kept.sort(key=cost)
    return kept


def _recommend(
    previous: UserList, scored: ScoredBehavior, candidates: Candidates, rules: ListRules, fallbacks: Fallbacks
) -> UserList:
    ranked = _ranked(previous, scored, candidates, rules, fallbacks)
    renewed_ms = 0 if rules.update_interval_ms is None else scored.behavior.timestamp
    if not rules.explore_share:
        picked = pick(ranked, rules, fallbacks.groups)
        picked.sort(key=cost)
        return _next_list(previous, scored.user_seq, picked, renewed_ms=renewed_ms)
    picked = pick(ranked, rules, fallbacks.groups, more=rules.explore_pool)
    best, pool = picked[: rules.length], picked[rules.length :]
    best.sort(key=cost)
    seed = f"{scored.behavior.user_id}/{scored.user_seq}"
    drawn = explored(best, [item_id for _, item_id, _ in pool], rules.explore_share, seed)
    return _next_list(previous, scored.user_seq, drawn.entries, drawn.propensities, renewed_ms)


def _ranked(
    previous: UserList, scored: ScoredBehavior, candidates: Candidates, rules: ListRules, fallbacks: Fallbacks
) -> Iterable[Entry]:
    """Return the items that the list is picked from, best first."""
    stay = _chosen(previous) if rules.hysteresis or rules.max_new_items is not None else ()
    incumbents = frozenset(item_id for _, item_id, _ in stay) if rules.hysteresis else frozenset[str]()
    ranked = blend(candidates, scored.shown, incumbents, rules, fallbacks)
    if scored.excluded is None:  # the candidates are enough, and none of them is excluded
        return _diversified(ranked, rules, fallbacks)
    allowed = _filter_of(scored, rules)
    ranked = allowed.of(ranked)
    if rules.max_new_items is not None and (before := allowed.of(list(stay))):
        ranked = limit_new_items(ranked, before, rules.max_new_items, rules.length)
    return chain(_diversified(ranked, rules, fallbacks), fill(allowed, fallbacks))


def _diversified(ranked: list[Entry], rules: ListRules, fallbacks: Fallbacks) -> Iterable[Entry]:
    return diversified(ranked, rules.diversity, fallbacks.near) if rules.diversity else ranked


def _chosen(previous: UserList) -> Sequence[Entry]:
    """Return the entries of a list that chance did not put there."""
    return [entry for entry in _entries(previous) if entry[2] != ReasonCode.EXPLORE]


def _history(previous: UserList, scored: ScoredBehavior, rules: ListRules) -> list[Entry]:
    action = rules.actions[scored.behavior.action]
    acted = scored.behavior.item_id
    entries = [entry for entry in _entries(previous) if entry[1] not in rules.withdrawn]
    if action.kind is Kind.EXPOSURE:
        return entries[-rules.length :]
    entries = [entry for entry in entries if entry[1] != acted]
    if action.kind in {Kind.POSITIVE, Kind.TERMINAL} and acted not in rules.withdrawn:
        entries.append((-action.weight, acted, ReasonCode.HISTORY))
    if action.kind is Kind.TERMINAL:
        return sorted(entries, key=cost)[: rules.length]
    return entries[-rules.length :]
