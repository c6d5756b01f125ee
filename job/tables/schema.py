"""The output tables and their views, as data: keys, orders and times. Columns are those of the rows' structs.

DuckDB's and Flink's DDL, the views and `recloop sql --tables` are generated from these. Times are epoch milliseconds
UTC unless a column says otherwise.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from msgspec import Struct

from job.tables.columns import Column, ColumnType, columns_of
from udfs.rows import (
    AttemptRow,
    DeadLetterRow,
    FeedbackMetricsRow,
    ModelSwapRow,
    ModelUpdateRow,
    PredictionResultRow,
    RecommendationListRow,
    TrendSnapshotRow,
    UserBehaviorRow,
)


@dataclass(frozen=True, slots=True)
class Table:
    """A table: JSON lines under `<name>/dt=YYYY-MM-DD/hour=HH/`.

    Attributes:
        row: the struct whose fields are the columns.
        key: columns of the key; of rows with an equal key only the newest counts.
        newest_first: columns that order rows with an equal key, all descending; the first row counts.
        time_column: epoch milliseconds, from which the views derive `time_view_column`.
    """

    name: str
    doc: str
    row: type[Struct]
    key: tuple[str, ...]
    newest_first: tuple[str, ...] = ("epoch", "written_at")
    time_column: str = "timestamp"
    time_view_column: str = "event_time"

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns in the order of the definition, without the partition columns."""
        return columns_of(self.row)

    @property
    def has_offsets(self) -> bool:
        """True if each row is made from one record of the log, and has that record's offset."""
        return "log_offset" in self.column_names

    @property
    def is_numbered(self) -> bool:
        """True if rows that are not made from a single record have numbers, to find those void after a fall-back."""
        return "number" in self.column_names

    @property
    def is_of_attempts(self) -> bool:
        """True if attempts of the job write its rows, which a later attempt may make void."""
        return "epoch" in self.column_names

    @property
    def column_names(self) -> tuple[str, ...]:
        """The columns' names in the order of the definition, without the partition columns."""
        return tuple(column.name for column in self.columns)


@dataclass(frozen=True, slots=True)
class View:
    """A view over a table.

    Attributes:
        rank_within: columns that define groups, of which one row each is shown; if empty, all rows are shown.
        newest_first: the order that decides which row of a group is shown, as in `Table`.
        hides_withdrawn: whether withdrawn items are left out of each list.
    """

    name: str
    doc: str
    table: Table
    rank_within: tuple[str, ...] = ()
    newest_first: tuple[str, ...] = ()
    hides_withdrawn: bool = False

    @property
    def columns(self) -> tuple[Column, ...]:
        """The view's columns, in order."""
        doc = f"{self.table.time_column} as a UTC timestamp"
        time = Column(self.table.time_view_column, ColumnType.TIMESTAMP, doc, self._time_nullable)
        return (*self.table.columns, *PARTITIONS, time)

    @property
    def _time_nullable(self) -> bool:
        return any(each.nullable for each in self.table.columns if each.name == self.table.time_column)


PARTITIONS = (
    Column("dt", ColumnType.STRING, "UTC day of writing, YYYY-MM-DD; from the folder's name"),
    Column("hour", ColumnType.STRING, "UTC hour of writing, 00 to 23; from the folder's name"),
)

USER_BEHAVIOR = Table(
    "user_behavior",
    "every behaviour that was read, one row each",
    UserBehaviorRow,
    ("log_partition", "log_offset"),
)

_RECOMMENDATION_LISTS = Table(
    "recommendation_lists",
    "every list that was made, one row each, with what it was made from",
    RecommendationListRow,
    ("user_id", "list_version"),
)

PREDICTION_RESULTS = Table(
    "prediction_results",
    "what the model said, one row per item",
    PredictionResultRow,
    ("user_id", "user_seq", "rank"),
)

DEAD_LETTERS = Table(
    "dead_letters",
    "records of the log that could not be read as a behaviour",
    DeadLetterRow,
    ("log_partition", "log_offset"),
)

_FEEDBACK_METRICS = Table(
    "feedback_metrics",
    "counts and freshness of every minute of the job",
    FeedbackMetricsRow,
    ("minute",),
    newest_first=("epoch", "revision", "written_at"),
    time_column="minute",
    time_view_column="minute_time",
)

MODEL_SWAPS = Table(
    "model_swaps",
    "which model each scorer serves and since when, and what did not load",
    ModelSwapRow,
    ("scorer", "variant", "model_hash", "timestamp"),
    time_view_column="swap_time",
)

TREND_SNAPSHOTS = Table(
    "trend_snapshots",
    "what was trending at one moment, as lists name it in trend_snapshot",
    TrendSnapshotRow,
    ("snapshot_id",),
    time_column="snapshot_id",
    time_view_column="snapshot_time",
)

MODEL_UPDATES = Table(
    "model_updates",
    "what `recloop learn` decided of each model that it trained, and why",
    ModelUpdateRow,
    ("model", "decision_number"),
    newest_first=("written_at",),
    time_view_column="update_time",
)

ATTEMPTS = Table(
    "attempts",
    "where the job began to read each partition of the log, at every start and restore",
    AttemptRow,
    ("log_partition", "epoch"),
    time_column="written_at",
    time_view_column="written_time",
)

TABLES: Mapping[str, Table] = MappingProxyType(
    {
        table.name: table
        for table in (
            USER_BEHAVIOR,
            _RECOMMENDATION_LISTS,
            PREDICTION_RESULTS,
            DEAD_LETTERS,
            _FEEDBACK_METRICS,
            TREND_SNAPSHOTS,
            MODEL_SWAPS,
            MODEL_UPDATES,
            ATTEMPTS,
        )
    }
)

VIEWS: tuple[View, ...] = (
    *(View(f"{table.name}_all", f"{table.doc}; all epochs and generations", table) for table in TABLES.values()),
    *(View(table.name, table.doc, table, table.key, table.newest_first) for table in TABLES.values()),
    View(
        "latest_recommendation_lists",
        "the list each user is shown now, one row per user",
        _RECOMMENDATION_LISTS,
        ("user_id",),
        ("epoch", "list_version", "written_at"),
        hides_withdrawn=True,
    ),
)
"""All views, each after the views that it reads."""
