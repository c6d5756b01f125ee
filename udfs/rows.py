"""The rows of the output tables as lines of JSON: each struct is one table's columns, in order, with their meaning.

`job.tables.schema` names the table of each, and which of equal rows counts. All times are epoch milliseconds UTC:
`timestamp` is event time, `appended_at` the log's, `written_at` the clock's when the row was made (also the moment up
to which freshness is measured).
"""

from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

_encode_lines = msgspec.json.Encoder().encode_lines

Int32 = Annotated[int, Meta(extra_json_schema={"format": "int32"})]
"""A whole number that tables hold in 32 bits; others have 64."""
_Natural = Annotated[int, Meta(ge=0, le=2**63 - 1)]

_LogPartition = Annotated[Int32, Meta(description="partition of the behaviour log the row comes from")]
_LogOffset = Annotated[int, Meta(description="offset of the behaviour in that partition")]
_AppendedAt = Annotated[int, Meta(description="when the behaviour was appended to the log")]
_EventTime = Annotated[int, Meta(description="event time of the behaviour")]
_WrittenAt = Annotated[int, Meta(description="when the job made the row")]
_Epoch = Annotated[
    int, Meta(description="of the attempt that made the row: rises with every start and restore; see attempts")
]
_Number = Annotated[
    int, Meta(description="of the row as written, from 1; an attempt numbers on from the state it restored")
]
_ModelVersion = Annotated[str, Meta(description="version of the bundle that scored")]
_ModelHash = Annotated[str, Meta(description="sha256 of that bundle")]
_Variant = Annotated[str, Meta(description="variant of the A/B test the user is in, or the only one")]


class UserBehaviorRow(msgspec.Struct, gc=False, kw_only=True):
    """One behaviour of the log that was applied, or dropped as a duplicate."""

    user_id: Annotated[str, Meta(description="who acted")]
    action: Annotated[str, Meta(description="what was done")]
    item_id: Annotated[str, Meta(description="to which item")]
    timestamp: _EventTime
    event_id: Annotated[str | None, Meta(description="names the event; a repeated one is applied once")]
    request_id: Annotated[str | None, Meta(description="names the request whose list was shown")]
    position: Annotated[Int32 | None, Meta(description="rank in the list that was shown, from 0")]
    outcome: Annotated[str, Meta(description="'applied', or 'duplicate' of an event_id seen before")]
    user_seq: Annotated[int | None, Meta(description="number of the user's applied behaviour, from 1")]
    log_partition: _LogPartition
    log_offset: _LogOffset
    appended_at: _AppendedAt | None
    written_at: _WrittenAt
    epoch: _Epoch


class RecommendationListRow(msgspec.Struct, gc=False, kw_only=True):
    """One list, and everything it was made from."""

    user_id: Annotated[str, Meta(description="whose list")]
    items: Annotated[list[str], Meta(description="item ids, best first")]
    scores: Annotated[list[float], Meta(description="score of each item, on the scale of its reason")]
    reasons: Annotated[list[str], Meta(description="why each item is there")]
    propensities: Annotated[
        list[float] | None,
        Meta(description="probability with which each item got its place; null where nothing is explored"),
    ] = None
    list_version: Annotated[int, Meta(description="rises by one per list, per user")]
    user_seq: Annotated[
        int,
        Meta(
            description="number of the behaviour that caused the list; of a list made anew, the same as in the list "
            "before it"
        ),
    ]
    action: Annotated[
        str, Meta(description="action of that behaviour; 'withdrawn' of a list made anew without withdrawn items")
    ]
    item_id: Annotated[str, Meta(description="item of that behaviour, or one that was withdrawn")]
    log_partition: _LogPartition
    log_offset: Annotated[
        int,
        Meta(
            description="offset of the behaviour in that partition; of a list made anew, the last one read before "
            "the attempt"
        ),
    ]
    policy: Annotated[str, Meta(description="list policy: 'recommend' or 'history'")]
    source: Annotated[
        str,
        Meta(
            description="'scored' by a model, 'fallback' without scores, 'rules' where no model is asked or "
            "lists.update_interval holds the list"
        ),
    ]
    fallback_reason: Annotated[str | None, Meta(description="why there were no scores")]
    model_version: _ModelVersion | None
    model_hash: _ModelHash | None
    variant: _Variant | None
    trend_snapshot: Annotated[int | None, Meta(description="number of the trend snapshot that was blended in")]
    batch_size: Annotated[Int32 | None, Meta(description="users in the micro-batch that was scored")]
    timestamp: Annotated[
        int, Meta(description="event time of the behaviour; of a list made anew, when it was made, as in written_at")
    ]
    appended_at: _AppendedAt | None
    written_at: _WrittenAt
    epoch: _Epoch


class PredictionResultRow(msgspec.Struct, gc=False, kw_only=True):
    """One item's score in one call of the model."""

    user_id: Annotated[str, Meta(description="for whom")]
    item_id: Annotated[str, Meta(description="which item")]
    score: Annotated[float, Meta(description="on the model's own scale")]
    rank: Annotated[Int32, Meta(description="place among the model's items, from 0")]
    user_seq: Annotated[int, Meta(description="number of the behaviour that was scored")]
    log_partition: _LogPartition
    log_offset: _LogOffset
    model_version: _ModelVersion
    model_hash: _ModelHash
    variant: _Variant
    timestamp: _EventTime
    written_at: _WrittenAt
    epoch: _Epoch


class DeadLetterRow(msgspec.Struct, gc=False, kw_only=True):
    """One record of the log that was no behaviour."""

    log_partition: _LogPartition
    log_offset: _LogOffset
    reason: Annotated[str, Meta(description="kind of the fault, a short name")]
    detail: Annotated[str, Meta(description="the fault in words")]
    raw_base64: Annotated[str, Meta(description="the record's bytes in base64, cut where truncated")]
    raw_bytes: Annotated[int, Meta(description="length of the whole record, bytes")]
    truncated: Annotated[bool, Meta(description="raw_base64 holds only the record's beginning")]
    timestamp: Annotated[int | None, Meta(description="event time, where it could be read")]
    written_at: _WrittenAt
    epoch: _Epoch


class FeedbackMetricsRow(msgspec.Struct, gc=False, kw_only=True):
    """One minute of the whole loop."""

    minute: Annotated[int, Meta(description="start of the minute")]
    revision: Annotated[Int32, Meta(description="rises when late rows change a minute that was written")]
    events: Annotated[int, Meta(description="behaviours read: those applied, and duplicates; no dead letters")]
    duplicates: Annotated[int, Meta(description="of these, repeated event ids, which make no list")]
    lists: Annotated[int, Meta(description="lists made for behaviours; not those made anew without withdrawn items")]
    scored: Annotated[int, Meta(description="of these, by a model")]
    fallbacks: Annotated[int, Meta(description="of these, fallback lists: made without scores")]
    fallbacks_deadline: Annotated[
        int | None, Meta(description="of these, because the model's call missed its deadline")
    ]
    fallbacks_model_busy: Annotated[int | None, Meta(description="of these, because such a call was still out")]
    fallbacks_circuit_open: Annotated[
        int | None, Meta(description="of these, because the model was not asked, after several such calls")
    ]
    fallbacks_model_error: Annotated[int | None, Meta(description="of these, because the model's call failed")]
    fallbacks_shed: Annotated[int | None, Meta(description="of these, because they came too late to be scored")]
    fallbacks_coalesced: Annotated[
        int | None, Meta(description="of these, because a newer one of the user came with them")
    ]
    batch_size_mean: Annotated[float | None, Meta(description="users in a micro-batch, mean")]
    batch_size_max: Annotated[Int32 | None, Meta(description="users in a micro-batch, most")]
    freshness_count: Annotated[int, Meta(description="lists whose freshness was measured")]
    freshness_p50_ms: Annotated[float | None, Meta(description="log append to list made, median, ms")]
    freshness_p95_ms: Annotated[float | None, Meta(description="log append to list made, 95th percentile, ms")]
    freshness_p99_ms: Annotated[float | None, Meta(description="log append to list made, 99th percentile, ms")]
    freshness_max_ms: Annotated[float | None, Meta(description="log append to list made, longest, ms")]
    number: _Number | None
    written_at: _WrittenAt
    epoch: _Epoch


class TrendSnapshotRow(msgspec.Struct, gc=False, kw_only=True):
    """The trending items of one moment."""

    snapshot_id: Annotated[int, Meta(description="when it was made, epoch ms")]
    items: Annotated[list[str], Meta(description="item ids, strongest first")]
    strengths: Annotated[list[float], Meta(description="1 for the strongest, down to 0")]
    number: _Number | None
    written_at: _WrittenAt
    epoch: _Epoch


class ModelSwapRow(msgspec.Struct, gc=False, kw_only=True):
    """The outcome of loading a model at one scorer."""

    scorer: Annotated[Int32, Meta(description="number of the subtask of score-candidates, from 0")]
    variant: Annotated[str, Meta(description="to whom: variant of the A/B test, or the only one")]
    model_version: Annotated[str, Meta(description="version of the bundle that was to be served")]
    model_hash: _ModelHash
    outcome: Annotated[
        str, Meta(description="'started' and 'swapped': it is served; 'failed': the one before is served on")
    ]
    problem: Annotated[str | None, Meta(description="why it failed")]
    timestamp: Annotated[int, Meta(description="when; the row is written with the scorer's next behaviour")]
    written_at: _WrittenAt
    epoch: _Epoch


class AttemptRow(msgspec.Struct, gc=False, kw_only=True):
    """The place where one attempt of the job began to read one partition of the log.

    Decoding checks the bounds, as the numbers decide which rows of all tables count.
    """

    log_partition: Annotated[_LogPartition, Meta(ge=0, le=2**31 - 1)]
    first_offset: Annotated[
        _Natural, Meta(description="where it began: what earlier epochs made of this offset and later ones is void")
    ]
    parent_epoch: Annotated[_Natural | None, Meta(description="epoch of the attempt whose state it went on from")]
    generation: Annotated[
        _Natural, Meta(description="rises with every deployment that begins anew: of earlier ones nothing counts")
    ]
    written_at: _WrittenAt
    epoch: Annotated[_Epoch, Meta(ge=0, le=2**63 - 1)]


class ModelUpdateRow(msgspec.Struct, gc=False, kw_only=True, frozen=True):
    """One decision of `recloop learn`; no attempt of the job writes it, so none makes it void."""

    model: Annotated[str, Meta(description="name of the model in the registry")]
    decision_number: Annotated[int, Meta(description="rises by one with each decision on the model, from 1")]
    decision: Annotated[
        str,
        Meta(description="'promoted': the version serves; 'refused': it does not; 'rolled_back': it did, until then"),
    ]
    reason: Annotated[str, Meta(description="why, in a sentence")]
    model_version: Annotated[str, Meta(description="version that was decided on")]
    model_hash: Annotated[str | None, Meta(description="sha256 of its bundle; none if it could not be trained")] = None
    served_version: Annotated[
        str, Meta(description="version that served when it was decided; of a roll-back, the one that serves again")
    ]
    served_hash: Annotated[str, Meta(description="sha256 of that bundle")]
    cut_off: Annotated[
        int | None, Meta(description="event time: it was trained on what is older, and judged by the rest")
    ] = None
    behaviors: Annotated[
        int, Meta(description="behaviours that learn knew when it was decided, forgotten ones left out")
    ]
    targets: Annotated[
        int, Meta(description="behaviours that were looked for in both models' lists, or in live lists")
    ] = 0
    users: Annotated[int, Meta(description="users whose behaviours these are")] = 0
    hit_rate: Annotated[
        float | None, Meta(description="share of them in the version's lists of ten; live, users' mean")
    ] = None
    served_hit_rate: Annotated[
        float | None, Meta(description="the same of the version that served, or serves again")
    ] = None
    ndcg: Annotated[float | None, Meta(description="NDCG@10 of the version")] = None
    served_ndcg: Annotated[float | None, Meta(description="NDCG@10 of the version that served")] = None
    gain_low: Annotated[
        float | None,
        Meta(description="lower end of the 95 % interval of the difference that decided: NDCG@10, or live"),
    ] = None
    gain_high: Annotated[float | None, Meta(description="its upper end")] = None
    listed: Annotated[int | None, Meta(description="different items in the version's lists")] = None
    served_listed: Annotated[
        int | None, Meta(description="different items in the lists of the version that served")
    ] = None
    batch_ms: Annotated[
        float | None, Meta(description="time that the version took for one batch on learn's machine, ms")
    ] = None
    served_batch_ms: Annotated[float | None, Meta(description="time that the version that served took for it, ms")] = (
        None
    )
    cpu_s: Annotated[float, Meta(description="CPU time of the training and the judgement, seconds")] = 0.0
    timestamp: Annotated[int, Meta(description="when it was decided")]
    written_at: Annotated[int, Meta(description="when learn made the row")]


Row = (
    UserBehaviorRow
    | DeadLetterRow
    | RecommendationListRow
    | PredictionResultRow
    | FeedbackMetricsRow
    | TrendSnapshotRow
    | ModelSwapRow
    | ModelUpdateRow
    | AttemptRow
)


def to_lines(rows: Sequence[Row]) -> str:
    """Return the rows as lines of JSON, without the last one's newline."""
    return _encode_lines(rows)[:-1].decode()
