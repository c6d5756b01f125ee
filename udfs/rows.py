"""The rows of the output tables as lines of JSON; the columns are documented in job/tables/schema.py.

All times are epoch milliseconds UTC: `timestamp` is event time, `appended_at` the log's, `written_at` the clock's when
the row was made (also the moment up to which freshness is measured).
"""

import base64
from typing import NamedTuple

import msgspec

from udfs.elements import Candidates, LoggedBehavior, ModelRef, ScoredBehavior, Swap
from udfs.lists.user_list import Policy, UserList, reason_text
from udfs.log.parsing import MAX_RAW_BYTES, DeadLetter
from udfs.log.position import LogPosition

_encode = msgspec.json.Encoder().encode


class UserBehaviorRow(msgspec.Struct, gc=False):
    """One behaviour of the log that was applied, or dropped as a duplicate."""

    user_id: str
    action: str
    item_id: str
    timestamp: int
    event_id: str | None
    request_id: str | None
    position: int | None
    outcome: str
    user_seq: int | None
    log_partition: int
    log_offset: int
    appended_at: int | None
    written_at: int
    epoch: int


class DeadLetterRow(msgspec.Struct, gc=False):
    """One record of the log that was no behaviour."""

    log_partition: int
    log_offset: int
    reason: str
    detail: str
    raw_base64: str
    raw_bytes: int
    truncated: bool
    timestamp: int | None
    written_at: int
    epoch: int


class RecommendationListRow(msgspec.Struct, gc=False):
    """One list, and everything it was made from."""

    user_id: str
    items: list[str]
    scores: list[float]
    reasons: list[str]
    list_version: int
    user_seq: int
    action: str
    item_id: str
    log_partition: int
    log_offset: int
    policy: str
    source: str
    fallback_reason: str | None
    model_version: str | None
    model_hash: str | None
    variant: str | None
    trend_snapshot: int | None
    batch_size: int | None
    timestamp: int
    appended_at: int | None
    written_at: int
    epoch: int


class PredictionResultRow(msgspec.Struct, gc=False):
    """One item's score in one call of the model."""

    user_id: str
    item_id: str
    score: float
    rank: int
    user_seq: int
    log_partition: int
    log_offset: int
    model_version: str
    model_hash: str
    variant: str
    timestamp: int
    written_at: int
    epoch: int


class FeedbackMetricsRow(msgspec.Struct, gc=False):
    """One minute of the whole loop."""

    minute: int
    revision: int
    events: int
    duplicates: int
    lists: int
    scored: int
    fallbacks: int
    fallbacks_deadline: int | None
    fallbacks_model_busy: int | None
    fallbacks_circuit_open: int | None
    fallbacks_model_error: int | None
    fallbacks_shed: int | None
    fallbacks_coalesced: int | None
    batch_size_mean: float | None
    batch_size_max: int | None
    freshness_count: int
    freshness_p50_ms: float | None
    freshness_p95_ms: float | None
    freshness_p99_ms: float | None
    freshness_max_ms: float | None
    number: int | None
    written_at: int
    epoch: int


class ModelSwapRow(msgspec.Struct, gc=False):
    """What became of a model at one scorer."""

    scorer: int
    variant: str
    model_version: str
    model_hash: str
    outcome: str
    problem: str | None
    timestamp: int
    written_at: int
    epoch: int


class AttemptRow(msgspec.Struct, gc=False):
    """Where one attempt of the job began to read one partition of the log."""

    log_partition: int
    first_offset: int
    parent_epoch: int | None
    generation: int
    written_at: int
    epoch: int


class TrendSnapshotRow(msgspec.Struct, gc=False):
    """What was trending at one moment."""

    snapshot_id: int
    items: list[str]
    strengths: list[float]
    number: int | None
    written_at: int
    epoch: int


Row = (
    UserBehaviorRow
    | DeadLetterRow
    | RecommendationListRow
    | PredictionResultRow
    | FeedbackMetricsRow
    | TrendSnapshotRow
    | ModelSwapRow
    | AttemptRow
)


class MadeFrom(NamedTuple):
    """Which model serves the user, None where none does, and which trends had a part in the list, if any."""

    model: ModelRef | None
    trend_snapshot: int | None


def to_line(row: Row) -> str:
    """The row as JSON, without a newline."""
    return _encode(row).decode()


def attempt_row(position: LogPosition, parent_epoch: int | None, generation: int, now_ms: int) -> str:
    """The line of an attempt that goes on at the position."""
    return to_line(
        AttemptRow(
            log_partition=position.partition,
            first_offset=position.next_offset,
            parent_epoch=parent_epoch,
            generation=generation,
            written_at=now_ms,
            epoch=position.epoch,
        )
    )


def user_behavior_row(behavior: LoggedBehavior, user_seq: int | None, epoch: int, now_ms: int) -> str:
    """The line of an applied behaviour, or, without a user_seq, of a duplicate."""
    outcome = "duplicate" if user_seq is None else "applied"
    return to_line(
        UserBehaviorRow(
            behavior.user_id,
            behavior.action,
            behavior.item_id,
            behavior.timestamp,
            behavior.event_id,
            behavior.request_id,
            behavior.position,
            outcome,
            user_seq,
            behavior.log_partition,
            behavior.log_offset,
            behavior.appended_at,
            now_ms,
            epoch,
        )
    )


def dead_letter_row(letter: DeadLetter, epoch: int, now_ms: int) -> str:
    """The line of a dead letter, with up to 64 KiB of the record's own bytes."""
    record = letter.record
    raw = record.raw[:MAX_RAW_BYTES]
    return to_line(
        DeadLetterRow(
            record.partition,
            record.offset,
            letter.reason.value,
            letter.detail,
            base64.b64encode(raw).decode(),
            record.size,
            record.size > len(raw),
            letter.timestamp,
            now_ms,
            epoch,
        )
    )


def recommendation_list_row(
    user_list: UserList, scored: ScoredBehavior, made_from: MadeFrom, policy: Policy, stamp: tuple[int, int]
) -> str:
    """The line of a list; `stamp` is (clock, epoch)."""
    behavior = scored.behavior
    model = made_from.model
    scored_by = None if scored.candidates is None else model
    return to_line(
        RecommendationListRow(
            behavior.user_id,
            user_list.items,
            [round(score, 6) for score in user_list.scores],
            [reason_text(reason) for reason in user_list.reasons],
            user_list.list_version,
            user_list.user_seq,
            behavior.action,
            behavior.item_id,
            behavior.log_partition,
            behavior.log_offset,
            policy.value,
            _source(scored, policy),
            scored.fallback_reason,
            None if scored_by is None else scored_by.version,
            None if scored_by is None else scored_by.hash,
            None if model is None else model.variant,
            made_from.trend_snapshot,
            scored.batch_size,
            behavior.timestamp,
            behavior.appended_at,
            *stamp,
        )
    )


def model_swap_row(swap: Swap, stamp: tuple[int, int]) -> str:
    """The line of a swap; `stamp` is (clock, epoch)."""
    model = swap.model
    return to_line(
        ModelSwapRow(swap.scorer, model.variant, model.version, model.hash, swap.outcome, swap.problem, swap.at, *stamp)
    )


def prediction_result_rows(
    scored: ScoredBehavior, candidates: Candidates, model: ModelRef, stamp: tuple[int, int]
) -> str:
    """The lines of all candidates of one behaviour; `stamp` is (clock, epoch)."""
    behavior = scored.behavior
    rows = (
        PredictionResultRow(
            behavior.user_id,
            item_id,
            score,
            rank,
            scored.user_seq,
            behavior.log_partition,
            behavior.log_offset,
            model.version,
            model.hash,
            model.variant,
            behavior.timestamp,
            *stamp,
        )
        for rank, (item_id, score) in enumerate(zip(candidates.items, candidates.scores(), strict=True))
    )
    return "\n".join(map(to_line, rows))


def _source(scored: ScoredBehavior, policy: Policy) -> str:
    if policy is Policy.HISTORY:
        return "rules"
    return "scored" if scored.candidates is not None else "fallback"
