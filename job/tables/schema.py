"""The columns, keys and views of the output tables, once and as data.

DuckDB's and Flink's DDL, the views and `recloop sql --tables` are made from these; a test holds the job's rows to them.
Times are epoch milliseconds UTC unless a column says otherwise.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from job.tables.columns import (
    Column,
    ColumnType,
    double_column,
    int_column,
    long_column,
    string_column,
)
from udfs.elements import FallbackReason


@dataclass(frozen=True, slots=True)
class Table:
    """One table: JSON lines under `<name>/dt=YYYY-MM-DD/hour=HH/`.

    Attributes:
        key: of rows that are equal here, only the newest counts.
        newest_first: columns that order equal rows, all descending; the first row counts.
        time_column: epoch milliseconds, from which the views derive `time_view_column`.
    """

    name: str
    doc: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    newest_first: tuple[str, ...] = ("epoch", "written_at")
    time_column: str = "timestamp"
    time_view_column: str = "event_time"

    @property
    def has_offsets(self) -> bool:
        """Whether each row is made of one record of the log, and says which."""
        return "log_offset" in self.column_names

    @property
    def is_numbered(self) -> bool:
        """Whether rows made of no single record are numbered, so that it is known which a fall-back made void."""
        return "number" in self.column_names

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names in the order of the definition, without the partition columns."""
        return tuple(column.name for column in self.columns)


@dataclass(frozen=True, slots=True)
class View:
    """A view over one table.

    Attributes:
        rank_within: columns of a group, of which one row is shown; without them all rows are.
        newest_first: which row of a group that is, as in `Table`.
        hides_withdrawn: whether it leaves out of each list the items that are withdrawn.
    """

    name: str
    doc: str
    table: Table
    rank_within: tuple[str, ...] = ()
    newest_first: tuple[str, ...] = ()
    hides_withdrawn: bool = False

    @property
    def columns(self) -> tuple[Column, ...]:
        """What the view shows, in order."""
        doc = f"{self.table.time_column} as a UTC timestamp"
        time = Column(self.table.time_view_column, ColumnType.TIMESTAMP, doc, self._time_nullable)
        return (*self.table.columns, *PARTITIONS, time)

    @property
    def _time_nullable(self) -> bool:
        return any(each.nullable for each in self.table.columns if each.name == self.table.time_column)


PARTITIONS = (
    string_column("dt", "UTC day of writing, YYYY-MM-DD; from the folder's name"),
    string_column("hour", "UTC hour of writing, 00 to 23; from the folder's name"),
)

_LOG_PARTITION = int_column("log_partition", "partition of the behaviour log the row comes from")
_LOG_OFFSET = long_column("log_offset", "offset of the behaviour in that partition")
_APPENDED_AT = long_column("appended_at", "when the behaviour was appended to the log", nullable=True)
_EVENT_TIME = long_column("timestamp", "event time of the behaviour")
_WRITTEN = (
    long_column("written_at", "when the job made the row"),
    long_column("epoch", "of the attempt that made the row: rises with every start and restore; see attempts"),
)
_NUMBER = long_column(
    "number", "of the row as written, from 1; an attempt numbers on from the state it restored", nullable=True
)
_MODEL = (
    string_column("model_version", "version of the bundle that scored", nullable=True),
    string_column("model_hash", "sha256 of that bundle", nullable=True),
    string_column("variant", "variant of the A/B test the user is in, or the only one", nullable=True),
)

USER_BEHAVIOR = Table(
    "user_behavior",
    "every behaviour that was read, one row each",
    ("log_partition", "log_offset"),
    (
        string_column("user_id", "who acted"),
        string_column("action", "what was done"),
        string_column("item_id", "to which item"),
        _EVENT_TIME,
        string_column("event_id", "names the event; a repeated one is applied once", nullable=True),
        string_column("request_id", "names the request whose list was shown", nullable=True),
        int_column("position", "rank in the list that was shown, from 0", nullable=True),
        string_column("outcome", "'applied', or 'duplicate' of an event_id seen before"),
        long_column("user_seq", "number of the user's applied behaviour, from 1", nullable=True),
        _LOG_PARTITION,
        _LOG_OFFSET,
        _APPENDED_AT,
        *_WRITTEN,
    ),
)

RECOMMENDATION_LISTS = Table(
    "recommendation_lists",
    "every list that was made, one row each, with what it was made from",
    ("user_id", "list_version"),
    (
        string_column("user_id", "whose list"),
        Column("items", ColumnType.STRINGS, "item ids, best first"),
        Column("scores", ColumnType.DOUBLES, "score of each item, on the scale of its reason"),
        Column("reasons", ColumnType.STRINGS, "why each item is there"),
        long_column("list_version", "rises by one a list, per user"),
        long_column("user_seq", "number of the behaviour that caused the list"),
        string_column("action", "action of that behaviour; 'withdrawn' of a list made anew without withdrawn items"),
        string_column("item_id", "item of that behaviour, or one that was withdrawn"),
        _LOG_PARTITION,
        _LOG_OFFSET,
        string_column("policy", "list policy: 'recommend' or 'history'"),
        string_column(
            "source",
            "'scored' by a model, 'fallback' by the rules for want of scores, 'rules' where no model is asked",
        ),
        string_column("fallback_reason", "why there were no scores", nullable=True),
        *_MODEL,
        long_column("trend_snapshot", "number of the trend snapshot that was blended in", nullable=True),
        int_column("batch_size", "users in the micro-batch that was scored", nullable=True),
        _EVENT_TIME,
        _APPENDED_AT,
        *_WRITTEN,
    ),
)

PREDICTION_RESULTS = Table(
    "prediction_results",
    "what the model said, one row an item",
    ("user_id", "user_seq", "rank"),
    (
        string_column("user_id", "for whom"),
        string_column("item_id", "which item"),
        double_column("score", "on the model's own scale"),
        int_column("rank", "place among the model's items, from 0"),
        long_column("user_seq", "number of the behaviour that was scored"),
        _LOG_PARTITION,
        _LOG_OFFSET,
        *(Column(each.name, each.type, each.doc) for each in _MODEL),
        _EVENT_TIME,
        *_WRITTEN,
    ),
)

DEAD_LETTERS = Table(
    "dead_letters",
    "records of the log that could not be read as a behaviour",
    ("log_partition", "log_offset"),
    (
        _LOG_PARTITION,
        _LOG_OFFSET,
        string_column("reason", "kind of the fault, a short name"),
        string_column("detail", "the fault in words"),
        string_column("raw_base64", "the record's bytes in base64, cut where truncated"),
        long_column("raw_bytes", "length of the whole record, bytes"),
        Column("truncated", ColumnType.BOOLEAN, "raw_base64 holds only the record's beginning"),
        long_column("timestamp", "event time, where it could be read", nullable=True),
        *_WRITTEN,
    ),
)

FEEDBACK_METRICS = Table(
    "feedback_metrics",
    "counts and freshness of every minute of the job",
    ("minute",),
    (
        long_column("minute", "start of the minute"),
        int_column("revision", "rises when late rows change a minute that was written"),
        long_column("events", "behaviours read"),
        long_column("duplicates", "of these, repeated event ids"),
        long_column("lists", "lists made"),
        long_column("scored", "of these, by a model"),
        long_column("fallbacks", "of these, by the rules alone"),
        *(
            long_column(f"fallbacks_{reason}", f"of these, because {why}", nullable=True)
            for reason, why in (
                (FallbackReason.DEADLINE, "the model's call missed its deadline"),
                (FallbackReason.MODEL_BUSY, "such a call was still out"),
                (FallbackReason.CIRCUIT_OPEN, "the model was not asked, after several such calls"),
                (FallbackReason.MODEL_ERROR, "the model's call failed"),
                (FallbackReason.SHED, "they came too late to be scored"),
                (FallbackReason.COALESCED, "a newer one of the user came with them"),
            )
        ),
        double_column("batch_size_mean", "users in a micro-batch, mean", nullable=True),
        int_column("batch_size_max", "users in a micro-batch, most", nullable=True),
        long_column("freshness_count", "lists whose freshness was measured"),
        *(
            double_column(f"freshness_{name}_ms", f"log append to list made, {words}, ms", nullable=True)
            for name, words in (
                ("p50", "median"),
                ("p95", "95th percentile"),
                ("p99", "99th percentile"),
                ("max", "longest"),
            )
        ),
        _NUMBER,
        *_WRITTEN,
    ),
    newest_first=("epoch", "revision", "written_at"),
    time_column="minute",
    time_view_column="minute_time",
)

MODEL_SWAPS = Table(
    "model_swaps",
    "which model each scorer serves from when on, and what did not load",
    ("scorer", "variant", "model_hash", "timestamp"),
    (
        int_column("scorer", "number of the subtask of score-candidates, from 0"),
        string_column("variant", "to whom: variant of the A/B test, or the only one"),
        string_column("model_version", "version of the bundle that was to be served"),
        string_column("model_hash", "sha256 of that bundle"),
        string_column("outcome", "'started' and 'swapped': it is served; 'failed': the one before is served on"),
        string_column("problem", "why it failed", nullable=True),
        long_column("timestamp", "when; the row is written with the scorer's next behaviour"),
        *_WRITTEN,
    ),
    time_view_column="swap_time",
)

TREND_SNAPSHOTS = Table(
    "trend_snapshots",
    "what was trending at one moment, as lists name it in trend_snapshot",
    ("snapshot_id",),
    (
        long_column("snapshot_id", "when it was made, epoch ms"),
        Column("items", ColumnType.STRINGS, "item ids, strongest first"),
        Column("strengths", ColumnType.DOUBLES, "1 for the strongest, down to 0"),
        _NUMBER,
        *_WRITTEN,
    ),
    time_column="snapshot_id",
    time_view_column="snapshot_time",
)

ATTEMPTS = Table(
    "attempts",
    "where the job began to read each partition of the log, at every start and restore",
    ("log_partition", "epoch"),
    (
        _LOG_PARTITION,
        long_column("first_offset", "where it began: what earlier epochs made of this offset and later ones is void"),
        long_column("parent_epoch", "epoch of the attempt whose state it went on from", nullable=True),
        long_column("generation", "rises with every deployment that begins anew: of earlier ones nothing counts"),
        *_WRITTEN,
    ),
    time_column="written_at",
    time_view_column="written_time",
)

TABLES: Mapping[str, Table] = MappingProxyType(
    {
        table.name: table
        for table in (
            USER_BEHAVIOR,
            RECOMMENDATION_LISTS,
            PREDICTION_RESULTS,
            DEAD_LETTERS,
            FEEDBACK_METRICS,
            TREND_SNAPSHOTS,
            MODEL_SWAPS,
            ATTEMPTS,
        )
    }
)

VIEWS: tuple[View, ...] = (
    *(View(f"{table.name}_all", f"{table.doc}; all epochs and generations", table) for table in TABLES.values()),
    *(View(table.name, table.doc, table, table.key, table.newest_first) for table in TABLES.values()),
    View(
        "latest_recommendation_lists",
        "the list each user is shown now, one row a user",
        RECOMMENDATION_LISTS,
        ("user_id",),
        ("epoch", "list_version", "written_at"),
        hides_withdrawn=True,
    ),
)
"""Every view, each after the views it reads."""
