"""The columns, keys and views of the output tables, once and as data.

DuckDB's and Flink's DDL, the views, `recloop sql --tables` and the checks of rows are made from these.
Times are epoch milliseconds UTC unless a column says otherwise.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class ColumnType(StrEnum):
    """What a column holds; `job.tables.dialect` names it in each engine's SQL."""

    STRING = "string"
    INT = "int"
    LONG = "long"
    DOUBLE = "double"
    BOOLEAN = "boolean"
    STRINGS = "array of string"
    DOUBLES = "array of double"
    TIMESTAMP = "timestamp"
    """Only in views: no row holds one."""


@dataclass(frozen=True, slots=True)
class Column:
    """One field of a row.

    Attributes:
        doc: one line, shown by `recloop sql --tables`.
        nullable: the field may be null or absent.
    """

    name: str
    type: ColumnType
    doc: str
    nullable: bool = False


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
    def column_names(self) -> tuple[str, ...]:
        """Names in the order of the definition, without the partition columns."""
        return tuple(column.name for column in self.columns)

    def problems(self, row: Mapping[str, object]) -> list[str]:
        """Say what keeps `row` from being a row of this table; empty when it is one."""
        unknown = [f"{self.name}: unknown field {name!r}" for name in row if name not in self.column_names]
        wrong = [
            f"{self.name}.{column.name}: not a {column.type.value}: {row.get(column.name)!r}"
            for column in self.columns
            if not _fits(column, row.get(column.name))
        ]
        return unknown + wrong


@dataclass(frozen=True, slots=True)
class View:
    """A view over one table; `rank_within` and `newest_first` say which one row of a group it shows."""

    name: str
    doc: str
    table: Table
    rank_within: tuple[str, ...] = ()
    newest_first: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[Column, ...]:
        """What the view shows, in order."""
        doc = f"{self.table.time_column} as a UTC timestamp"
        time = Column(self.table.time_view_column, ColumnType.TIMESTAMP, doc, self._time_nullable)
        return (*self.table.columns, *PARTITIONS, time)

    @property
    def _time_nullable(self) -> bool:
        return any(each.nullable for each in self.table.columns if each.name == self.table.time_column)


def _fits(column: Column, value: object) -> bool:
    if value is None:
        return column.nullable
    match column.type:
        case ColumnType.STRING:
            return isinstance(value, str)
        case ColumnType.BOOLEAN:
            return isinstance(value, bool)
        case ColumnType.INT | ColumnType.LONG:
            bits = 31 if column.type is ColumnType.INT else 63
            return type(value) is int and -(2**bits) <= value < 2**bits
        case ColumnType.DOUBLE:
            return type(value) in {int, float}
        case ColumnType.STRINGS:
            return isinstance(value, list | tuple) and all(isinstance(each, str) for each in value)
        case ColumnType.DOUBLES:
            return isinstance(value, list | tuple) and all(type(each) in {int, float} for each in value)
        case ColumnType.TIMESTAMP:
            return False


def _string(name: str, doc: str, *, nullable: bool = False) -> Column:
    return Column(name, ColumnType.STRING, doc, nullable)


def _int(name: str, doc: str, *, nullable: bool = False) -> Column:
    return Column(name, ColumnType.INT, doc, nullable)


def _long(name: str, doc: str, *, nullable: bool = False) -> Column:
    return Column(name, ColumnType.LONG, doc, nullable)


def _double(name: str, doc: str, *, nullable: bool = False) -> Column:
    return Column(name, ColumnType.DOUBLE, doc, nullable)


PARTITIONS = (
    _string("dt", "UTC day of writing, YYYY-MM-DD; from the folder's name"),
    _string("hour", "UTC hour of writing, 00 to 23; from the folder's name"),
)

_LOG_PARTITION = _int("log_partition", "partition of the behaviour log the row comes from")
_LOG_OFFSET = _long("log_offset", "offset of the behaviour in that partition")
_APPENDED_AT = _long("appended_at", "when the behaviour was appended to the log", nullable=True)
_EVENT_TIME = _long("timestamp", "event time of the behaviour")
_WRITTEN = (
    _long("written_at", "when the job made the row"),
    _long("epoch", "rises with every start and restore; of equal rows the highest counts"),
)
_MODEL = (
    _string("model_version", "version of the bundle that scored", nullable=True),
    _string("model_hash", "sha256 of that bundle", nullable=True),
    _string("variant", "variant of the A/B test the user is in", nullable=True),
)

USER_BEHAVIOR = Table(
    "user_behavior",
    "every behaviour that was read, one row each",
    ("log_partition", "log_offset"),
    (
        _string("user_id", "who acted"),
        _string("action", "what was done"),
        _string("item_id", "to which item"),
        _EVENT_TIME,
        _string("event_id", "names the event; a repeated one is applied once", nullable=True),
        _string("request_id", "names the request whose list was shown", nullable=True),
        _int("position", "rank in the list that was shown, from 0", nullable=True),
        _string("outcome", "'applied', or 'duplicate' of an event_id seen before"),
        _long("user_seq", "number of the user's applied behaviour, from 1", nullable=True),
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
        _string("user_id", "whose list"),
        Column("items", ColumnType.STRINGS, "item ids, best first"),
        Column("scores", ColumnType.DOUBLES, "score of each item, on the scale of its reason"),
        Column("reasons", ColumnType.STRINGS, "why each item is there"),
        _long("list_version", "rises by one a list, per user"),
        _long("user_seq", "number of the behaviour that caused the list"),
        _string("action", "action of that behaviour"),
        _string("item_id", "item of that behaviour"),
        _LOG_PARTITION,
        _LOG_OFFSET,
        _string("policy", "list policy: 'recommend' or 'history'"),
        _string(
            "source",
            "'scored' by a model, 'fallback' by the rules for want of scores, 'rules' by a policy without a model",
        ),
        _string("fallback_reason", "why there were no scores", nullable=True),
        *_MODEL,
        _long("trend_snapshot", "number of the trend snapshot that was blended in", nullable=True),
        _int("batch_size", "users in the micro-batch that was scored", nullable=True),
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
        _string("user_id", "for whom"),
        _string("item_id", "which item"),
        _double("score", "on the model's own scale"),
        _int("rank", "place among the model's items, from 0"),
        _long("user_seq", "number of the behaviour that was scored"),
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
        _string("reason", "kind of the fault, a short name"),
        _string("detail", "the fault in words"),
        _string("raw_base64", "the record's bytes in base64, cut where truncated"),
        _long("raw_bytes", "length of the whole record, bytes"),
        Column("truncated", ColumnType.BOOLEAN, "raw_base64 holds only the record's beginning"),
        _long("timestamp", "event time, where it could be read", nullable=True),
        *_WRITTEN,
    ),
)

FEEDBACK_METRICS = Table(
    "feedback_metrics",
    "counts and freshness of every minute of the job",
    ("minute",),
    (
        _long("minute", "start of the minute"),
        _int("revision", "rises when late rows change a minute that was written"),
        _long("events", "behaviours read"),
        _long("duplicates", "of these, repeated event ids"),
        _long("lists", "lists made"),
        _long("scored", "of these, by a model"),
        _long("fallbacks", "of these, by the rules alone"),
        _double("batch_size_mean", "users in a micro-batch, mean", nullable=True),
        _int("batch_size_max", "users in a micro-batch, most", nullable=True),
        _long("freshness_count", "lists whose freshness was measured"),
        *(
            _double(f"freshness_{name}_ms", f"log append to list made, {words}, ms", nullable=True)
            for name, words in (
                ("p50", "median"),
                ("p95", "95th percentile"),
                ("p99", "99th percentile"),
                ("max", "longest"),
            )
        ),
        *_WRITTEN,
    ),
    newest_first=("epoch", "revision", "written_at"),
    time_column="minute",
    time_view_column="minute_time",
)

TREND_SNAPSHOTS = Table(
    "trend_snapshots",
    "what was trending at one moment, as lists name it in trend_snapshot",
    ("snapshot_id",),
    (
        _long("snapshot_id", "when it was made, epoch ms"),
        Column("items", ColumnType.STRINGS, "item ids, strongest first"),
        Column("strengths", ColumnType.DOUBLES, "1 for the strongest, down to 0"),
        *_WRITTEN,
    ),
    time_column="snapshot_id",
    time_view_column="snapshot_time",
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
        )
    }
)

VIEWS: tuple[View, ...] = (
    *(View(f"{table.name}_all", f"{table.doc}; all epochs", table) for table in TABLES.values()),
    *(View(table.name, table.doc, table, table.key, table.newest_first) for table in TABLES.values()),
    View(
        "latest_recommendation_lists",
        "the list each user is shown now, one row a user",
        RECOMMENDATION_LISTS,
        ("user_id",),
        ("epoch", "list_version", "written_at"),
    ),
)
"""Every view, each after the views it reads."""
