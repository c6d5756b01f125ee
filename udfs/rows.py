"""The rows of the output tables as lines of JSON; the columns are documented in job/tables/schema.py.

All times are epoch milliseconds UTC: `timestamp` is event time, `appended_at` the log's, `written_at` the clock's when
the row was made (also the moment up to which freshness is measured).
"""

import msgspec

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


def to_line(row: Row) -> str:
    """The row as JSON, without a newline."""
    return _encode(row).decode()
