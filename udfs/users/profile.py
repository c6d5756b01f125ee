"""A user's profile: the state that track-users keeps of each user, and the changes that a behaviour makes to it.

Pure: no Flink, no clock, no input or output. The same behaviours in the same order give the same profile.
"""

from array import array
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import NamedTuple, assert_never

from model.actions import ActionTable, Kind
from model.ids import is_new_event
from udfs.elements import ListOwner, LoggedBehavior, TrackedBehavior
from udfs.hashing import HASH_TYPECODE, id_hash, pack

TIME_TYPECODE = "I"
"""`array.array` type of a history's times: unsigned 32 bit, whole seconds of the epoch."""
_LATEST_S = 2**32 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileRules:
    """The bounds of a profile, and the action table that drives it.

    Attributes:
        actions: the effect of each action.
        history_block: the history grows to twice this; then the oldest block goes. A model's state is then a
            function of exactly the kept history, however that was reached.
        seen_limit: most items remembered as seen after they left the history.
        bought_limit: most owned items remembered.
        disliked_limit: most disliked items remembered.
        event_ids_limit: number of newest event ids that are known for dropping repeated events.
        shown_limit: most items counted that were shown without an act.
        exclude_seen: whether a seen item may not be recommended again.
        disliked_neighborhoods: number of newest dislikes whose neighbours are kept out of the list as well.
    """

    actions: ActionTable
    history_block: int
    seen_limit: int
    bought_limit: int
    disliked_limit: int
    event_ids_limit: int
    shown_limit: int
    exclude_seen: bool
    disliked_neighborhoods: int


def _hashes() -> "array[int]":
    return array(HASH_TYPECODE)


class Shown(NamedTuple):
    """The impressions of an item without an act; they fade.

    With several exposure actions, `apply` fades them by the half-life of the newest one's, `snapshot` by the longest.

    Attributes:
        impressions: number of impressions, faded as at `time_ms`.
        time_ms: event time of the newest impression.
    """

    impressions: float
    time_ms: int

    def at(self, time_ms: int, half_life_s: float) -> float:
        """Return the count as it stands at a later event time."""
        return float(self.impressions * 0.5 ** (max(0, time_ms - self.time_ms) / 1000 / half_life_s))


@dataclass(slots=True)
class UserProfile:
    """Everything kept of a user between behaviours; all collections oldest first, all bounded.

    Attributes:
        user_seq: number of behaviours that were applied.
        items: hashes of the kept history's items.
        actions: the action code of each history item.
        times: the event time of each history item, whole epoch seconds.
        seen: hashes of items that left the history.
        bought: hashes of owned items.
        disliked: hashes of disliked items.
        event_ids: hashes of the newest event ids.
        shown: hash of an item -> its impressions since the user last acted on it.
        forgotten: number of entries that were dropped beyond a bound.
    """

    user_seq: int = 0
    items: "array[int]" = field(default_factory=_hashes)
    actions: bytearray = field(default_factory=bytearray)
    times: "array[int]" = field(default_factory=lambda: array(TIME_TYPECODE))
    seen: "array[int]" = field(default_factory=_hashes)
    bought: "array[int]" = field(default_factory=_hashes)
    disliked: "array[int]" = field(default_factory=_hashes)
    event_ids: "array[int]" = field(default_factory=_hashes)
    shown: dict[int, Shown] = field(default_factory=dict)
    forgotten: int = 0


class Applied(Enum):
    """The outcome of a behaviour."""

    YES = auto()
    DUPLICATE = auto()


def apply(profile: UserProfile, behavior: LoggedBehavior, rules: ProfileRules) -> Applied:
    """Change the profile by one behaviour, unless its event id was applied before.

    Raises:
        KeyError: the action is not in the table (poll-log lets none through).
    """
    event_id = behavior.event_id
    if event_id is not None and not is_new_event(profile.event_ids, event_id, rules.event_ids_limit):
        _bound(profile, rules)
        return Applied.DUPLICATE
    profile.user_seq += 1
    action, item = rules.actions[behavior.action], id_hash(behavior.item_id)
    match action.kind:
        case Kind.EXPOSURE:  # the most frequent kind comes first
            before = profile.shown.pop(item, None)  # so that the dictionary stays in the order of the newest exposures
            count = 1.0 if before is None else 1.0 + before.at(behavior.timestamp, action.half_life_s)
            profile.shown[item] = Shown(count, behavior.timestamp)
        case Kind.POSITIVE | Kind.TERMINAL:
            profile.items.append(item)
            profile.actions.append(action.code)
            profile.times.append(history_time(behavior.timestamp))
            profile.shown.pop(item, None)
            _discard(profile.disliked, item)
            if action.kind is Kind.TERMINAL:
                _remember(profile.bought, item)
        case Kind.REVERSAL:
            _discard(profile.bought, item)
        case Kind.NEGATIVE:
            profile.shown.pop(item, None)
            _remember(profile.disliked, item)
        case _:
            assert_never(action.kind)
    _bound(profile, rules)
    return Applied.YES


def snapshot(profile: UserProfile, behavior: LoggedBehavior, rules: ProfileRules) -> TrackedBehavior:
    """Return the behaviour with the profile as it stands right after it."""
    shown: list[tuple[int, float]] = []
    if profile.shown:
        # Which action each impression came by is not stored: of several half-lives the longest counts.
        half_life_s = max((a.half_life_s for a in rules.actions.values() if a.kind is Kind.EXPOSURE), default=1.0)
        shown = [(item, each.at(behavior.timestamp, half_life_s)) for item, each in profile.shown.items()]
    return TrackedBehavior(
        behavior=behavior,
        user_seq=profile.user_seq,
        history=pack(profile.items),
        actions=bytes(profile.actions),
        times=profile.times.tobytes(),
        excluded=_excluded(profile, rules),
        disliked=_newest_dislikes(profile, rules),
        shown=shown,
    )


def list_owner(user_id: str, profile: UserProfile, rules: ProfileRules) -> ListOwner:
    """Return the parts of the profile, as it stands, that a sweep of the user's list needs."""
    history = pack(profile.items) if rules.exclude_seen else b""
    return ListOwner(
        user_id=user_id,
        excluded=_excluded(profile, rules) + history,
        disliked=_newest_dislikes(profile, rules),
    )


def _excluded(profile: UserProfile, rules: ProfileRules) -> bytes:
    excluded = pack(profile.bought) + pack(profile.disliked)
    return excluded + pack(profile.seen) if rules.exclude_seen else excluded


def _newest_dislikes(profile: UserProfile, rules: ProfileRules) -> bytes:
    return pack(profile.disliked[-rules.disliked_neighborhoods :]) if rules.disliked_neighborhoods else b""


def history_time(time_ms: int) -> int:
    """Return an event time as a history holds it: whole seconds, up to the year 2106."""
    return min(time_ms // 1000, _LATEST_S)


def _bound(profile: UserProfile, rules: ProfileRules) -> None:
    """Drop the oldest beyond every bound: several at once where a bound is lower than when the profile was stored."""
    block = rules.history_block
    while len(profile.items) >= 2 * block:
        for item in profile.items[:block]:
            _remember(profile.seen, item)
        del profile.items[:block], profile.actions[:block], profile.times[:block]
    _keep_newest(profile, profile.seen, rules.seen_limit)
    _keep_newest(profile, profile.bought, rules.bought_limit)
    _keep_newest(profile, profile.disliked, rules.disliked_limit)
    if (over := len(profile.event_ids) - rules.event_ids_limit) > 0:
        del profile.event_ids[:over]
    while len(profile.shown) > rules.shown_limit:
        del profile.shown[next(iter(profile.shown))]
        profile.forgotten += 1


def _remember(hashes: "array[int]", item: int) -> None:
    """Put the item at the newest end, once."""
    _discard(hashes, item)
    hashes.append(item)


def _keep_newest(profile: UserProfile, hashes: "array[int]", limit: int) -> None:
    if (over := len(hashes) - limit) > 0:
        del hashes[:over]
        profile.forgotten += over


def _discard(hashes: "array[int]", item: int) -> None:
    if item in hashes:
        hashes.remove(item)
