"""update-lists: the operator that makes a new list for each behaviour, in order, and the rows that account for it."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from pyflink.common import Row
from pyflink.datastream import KeyedProcessFunction, RuntimeContext

from udfs.elements import ScoredBehavior, ScoredElement, Sweep, TrendSnapshot, decode_update
from udfs.feedback.minute import MINUTE_MS, Minute, decode_minute, encode_minute, minute_of
from udfs.flink.collector import settle
from udfs.flink.keyed_state import bytes_map_state, bytes_value_state
from udfs.flink.tags import FEEDBACK, MODEL_SWAPS, PREDICTION_RESULTS
from udfs.hashing import id_hash
from udfs.lists.list_codec import decode_list, decode_trends, encode_list, encode_trends
from udfs.lists.list_metrics import ListMetrics
from udfs.lists.list_rows import model_swap_row, prediction_result_rows, recommendation_list_row
from udfs.lists.list_rules import Fallbacks, ListRules
from udfs.lists.sweep_lists import sweep_list, swept_list_row
from udfs.lists.user_list import UserList, is_held, update
from udfs.rows import PredictionResultRow, RecommendationListRow, to_lines

_FEEDBACK_KEY = 0
"""The only key of measure-feedback, which adds up all buckets' minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateRules:
    """Rules for making lists and reporting them.

    Attributes:
        lists: rules by which a behaviour changes a list.
        prediction_sample_rate: share of the behaviours (0 to 1) whose predictions are written.
    """

    lists: ListRules
    prediction_sample_rate: float


class UpdateLists(KeyedProcessFunction):
    """The operator update-lists, keyed by user bucket.

    In: ScoredElement or TrendSnapshot. Out: rows of recommendation_lists, as lines of JSON.
    Side outputs: rows of prediction_results and of model_swaps; a bucket's minutes for measure-feedback.
    """

    def __init__(self, rules: UpdateRules, load_fallbacks: Callable[[], Fallbacks]) -> None:
        self._rules = rules
        self._load_fallbacks = load_fallbacks

    def open(self, context: RuntimeContext) -> None:
        """Open the state, and load the items that fill short lists."""
        self._lists = bytes_map_state(context, "recommendation_list")
        self._minute = bytes_value_state(context, "feedback_minute")
        self._trends = bytes_value_state(context, "trend_snapshot")
        self._without_trends = self._load_fallbacks()
        self._fallbacks: dict[int, Fallbacks] = {}
        self._metrics = ListMetrics(context)
        settle()

    def process_element(self, value: bytes, context: Any) -> Iterator[Any]:
        """Update one list per behaviour, or store what is trending.

        Raises:
            SequenceGapError: a behaviour was lost or doubled on the way.
        """
        element = decode_update(value)
        if isinstance(element, TrendSnapshot):
            self._trends.update(encode_trends(element))
            self._fallbacks[context.get_current_key()] = self._with(element)
        else:
            yield from self._update(element, context)
            if element.sweep is not None:
                yield from self._sweep(element.sweep, element.epoch, context)

    def _update(self, element: ScoredElement, context: Any) -> Iterator[Any]:
        """Update the element's lists; read and write a user's list once an element."""
        fallbacks = self._current(context.get_current_key())
        users: dict[str, UserList] = {}
        rows: list[RecommendationListRow] = []
        predictions: list[PredictionResultRow] = []
        now_ms = int(time.time() * 1000)
        epoch = element.epoch
        for scored in element.behaviors:
            user_id = scored.behavior.user_id
            previous = users.get(user_id) or self._load(user_id)
            users[user_id] = update(previous, scored, self._rules.lists, fallbacks)
            self._metrics.count_changes(previous.items, users[user_id].items)
            model = None if scored.model is None else element.models[scored.model]
            row = recommendation_list_row(
                users[user_id],
                scored,
                self._rules.lists.policy,
                is_held=is_held(previous, scored, self._rules.lists),
                model=model,
                trend_snapshot=fallbacks.snapshot_id,
                now_ms=now_ms,
                epoch=epoch,
            )
            rows.append(row)
            candidates = scored.candidates
            if candidates is not None and candidates.items and model is not None and self._is_sampled(scored):
                predictions += prediction_result_rows(scored, candidates, model, now_ms=now_ms, epoch=epoch)
        for user_id, user_list in users.items():
            self._lists.put(user_id, encode_list(user_list))
        self._metrics.count(element, now_ms)
        if element.behaviors or element.duplicates:
            yield from self._measure(element, now_ms, context)
        if element.swaps:
            yield MODEL_SWAPS, to_lines([model_swap_row(swap, now_ms=now_ms, epoch=epoch) for swap in element.swaps])
        if predictions:
            yield PREDICTION_RESULTS, to_lines(predictions)
        if rows:
            yield to_lines(rows)

    def on_timer(self, _timestamp: int, context: Any) -> Iterator[Any]:
        """Hand on the counts of a minute that is over."""
        self._metrics.report(int(time.time() * 1000))
        if state := self._minute.value():
            self._minute.clear()
            yield FEEDBACK, Row(_FEEDBACK_KEY, state)

    def _sweep(self, sweep: Sweep, epoch: int, context: Any) -> Iterator[str]:
        """Make those of these users' lists anew that hold a withdrawn item."""
        fallbacks, rules = self._current(context.get_current_key()), self._rules.lists
        found = (sweep_list(owner, self._lists.get(owner.user_id), rules, fallbacks) for owner in sweep.owners)
        now_ms = int(time.time() * 1000)
        rows = []
        for each in filter(None, found):
            self._lists.put(each.user_id, encode_list(each.made))
            row = swept_list_row(
                each,
                policy=rules.policy,
                begun=sweep.begun,
                trend_snapshot=fallbacks.snapshot_id,
                now_ms=now_ms,
                epoch=epoch,
            )
            rows.append(row)
        if rows:
            self._metrics.swept.inc(len(rows))
            yield to_lines(rows)

    def _load(self, user_id: str) -> UserList:
        state = self._lists.get(user_id)
        return UserList() if state is None else decode_list(state)

    def _current(self, key: int) -> Fallbacks:
        """Return the items that fill short lists now; the trends outlive a restore."""
        if key not in self._fallbacks:
            state = self._trends.value()
            stored = None if state is None else self._with(decode_trends(state))
            self._fallbacks[key] = stored or self._without_trends
        return self._fallbacks[key]

    def _with(self, snapshot: TrendSnapshot) -> Fallbacks:
        return replace(self._without_trends, trending=snapshot.strengths, snapshot_id=snapshot.snapshot_id)

    def _is_sampled(self, scored: ScoredBehavior) -> bool:
        """Return whether the predictions are written: for the same behaviours in every run over the same log."""
        share = self._rules.prediction_sample_rate
        if share >= 1:
            return True
        return share > 0 and (id_hash(f"{scored.behavior.user_id}/{scored.user_seq}") & 0xFFFF) < share * 0x10000

    def _measure(self, element: ScoredElement, now_ms: int, context: Any) -> Iterator[Any]:
        """Count the element in its minute; hand the minute before on, if no timer did."""
        state = self._minute.value()
        minute = Minute(minute_of(now_ms)) if state is None else decode_minute(state)
        if minute.minute != minute_of(now_ms):
            yield FEEDBACK, Row(_FEEDBACK_KEY, state)
            state, minute = None, Minute(minute_of(now_ms))
        if state is None:
            context.timer_service().register_processing_time_timer(minute.minute + MINUTE_MS)
        minute.epoch = max(minute.epoch, element.epoch)
        minute.duplicates += element.duplicates
        for scored in element.behaviors:
            minute.count(scored, now_ms)
        self._minute.update(encode_minute(minute))
