"""track-users: the operator that applies each behaviour to its user's profile, in order, once."""

import time
from collections.abc import Iterator
from typing import Any

from pyflink.common import Row
from pyflink.datastream import KeyedProcessFunction, RuntimeContext

from udfs.elements import TrackedBehavior, TrackedElement, TrendPart, decode_polled, encode
from udfs.flink.collector import settle
from udfs.flink.keyed_state import bytes_map_state, bytes_value_state
from udfs.flink.metrics import Metric, counters
from udfs.flink.tags import TREND_PARTS, USER_BEHAVIOR
from udfs.rows import to_lines
from udfs.users.behavior_row import user_behavior_row
from udfs.users.profile import Applied, ProfileRules, UserProfile, apply, snapshot
from udfs.users.profile_codec import decode_profile, encode_profile
from udfs.users.sweep_users import SweepUsers

_TRENDS_KEY = 0
"""The only key of find-trends."""


class TrackUsers(KeyedProcessFunction):
    """The operator track-users, keyed by user bucket.

    In: PolledElement. Out: Row(bucket's key, TrackedElement).
    Side outputs: rows of user_behavior; what the element adds to the trends, unless `with_trends` is off.
    After a deployment that withdraws items, all users once, a few an element: see `udfs.users.sweep_users`.
    """

    def __init__(self, rules: ProfileRules, withdrawn: frozenset[str], *, with_trends: bool) -> None:
        self._rules = rules
        self._withdrawn = withdrawn
        self._with_trends = with_trends

    def open(self, context: RuntimeContext) -> None:
        """Open the state."""
        self._profiles = bytes_map_state(context, "user_profile")
        swept = bytes_value_state(context, "withdrawn_swept")
        self._sweep = SweepUsers(self._profiles, swept, self._withdrawn, self._rules)
        self._epoch = 0
        self._applied, self._duplicates = counters(context, Metric.BEHAVIORS_APPLIED, Metric.DUPLICATES)
        settle()

    def process_element(self, value: bytes, context: Any) -> Iterator[Any]:
        """Apply the element's behaviours; read and write a user's profile once an element."""
        element = decode_polled(value)
        # A user's rows have one rising epoch even when new log partitions move the user to another one.
        self._epoch = max(self._epoch, element.epoch)
        now_ms = int(time.time() * 1000)
        profiles: dict[str, UserProfile] = {}
        tracked: list[TrackedBehavior] = []
        rows = []
        for behavior in element.behaviors:
            profile = profiles.get(behavior.user_id)
            if profile is None:
                state = self._profiles.get(behavior.user_id)
                profile = profiles[behavior.user_id] = UserProfile() if state is None else decode_profile(state)
            applied = apply(profile, behavior, self._rules) is Applied.YES
            if applied:
                tracked.append(snapshot(profile, behavior, self._rules))
            user_seq = profile.user_seq if applied else None
            rows.append(user_behavior_row(behavior, user_seq, now_ms=now_ms, epoch=self._epoch))
        for user_id, profile in profiles.items():
            self._profiles.put(user_id, encode_profile(profile))
        duplicates = len(rows) - len(tracked)
        self._applied.inc(len(tracked))
        if duplicates:
            self._duplicates.inc(duplicates)
        if rows:
            yield USER_BEHAVIOR, to_lines(rows)
        if self._with_trends and (weights := self._weights(tracked)):
            yield TREND_PARTS, Row(_TRENDS_KEY, encode(TrendPart(epoch=self._epoch, weights=weights)))
        key = context.get_current_key()
        if element.begun is not None and self._sweep.begin(key, element.begun):
            self._sweep_on(key, context)
        out = TrackedElement(epoch=self._epoch, duplicates=duplicates, behaviors=tracked)
        yield Row(key, encode(out))

    def on_timer(self, _timestamp: int, context: Any) -> Iterator[Any]:
        """Send the next users of a sweep."""
        key = context.get_current_key()
        sweep = self._sweep.turn(key)
        self._sweep_on(key, context)
        if sweep is not None and sweep.owners:
            yield Row(key, encode(TrackedElement(epoch=self._epoch, duplicates=0, behaviors=[], sweep=sweep)))

    def _sweep_on(self, key: int, context: Any) -> None:
        if (pause_ms := self._sweep.pause_ms(key)) is not None:
            timers = context.timer_service()
            timers.register_processing_time_timer(timers.current_processing_time() + pause_ms)

    def _weights(self, tracked: list[TrackedBehavior]) -> list[tuple[str, float, int]]:
        """Return (item, action's weight, event time) of the acts whose weight is positive."""
        actions = self._rules.actions
        behaviors = [each.behavior for each in tracked]
        return [(b.item_id, weight, b.timestamp) for b in behaviors if (weight := actions[b.action].weight) > 0]
