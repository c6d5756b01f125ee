"""The groups of settings: the type, default and meaning of each field.

They are frozen and typed; `job/settings/job_settings.py` puts them together and reads the values from their sources.
"""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AwareDatetime, BeforeValidator, Field, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from job.settings.values import (
    Between,
    Device,
    Duration,
    EpochMs,
    Folder,
    Interval,
    Items,
    Lateness,
    Mebibytes,
    MebibytesOrNone,
    Milliseconds,
    Name,
    Partitions,
    Records,
    Remembered,
    SettingsGroup,
    Share,
    ShortInterval,
    Subtasks,
    Topic,
    Weight,
)
from model.actions import Kind
from model.event_time import ALLOWED_LATENESS_MS, MAX_AHEAD_MS
from model.ids import EVENT_IDS_KEPT
from udfs.lists.list_rules import Policy


def _start(value: object) -> object:
    if isinstance(value, str) and value in {"earliest", "latest", "committed"}:
        return value
    try:
        return TypeAdapter(AwareDatetime).validate_python(value)
    except ValidationError as error:
        kind, msg = "start", "give earliest, latest, committed, or a time with its zone, as 2026-01-31T12:00Z"
        raise PydanticCustomError(kind, msg) from error


Start = Literal["earliest", "latest", "committed"] | datetime
_GivenStart = Annotated[Literal["earliest", "latest", "committed"] | AwareDatetime, BeforeValidator(_start)]


class LogSettings(SettingsGroup):
    """The source of behaviours."""

    kind: Literal["files", "kafka"] = Field("files", description="the embedded log, or a Kafka topic")
    folder: Folder = Field(Path(".recloop/log"), description="the embedded log: a folder of JSON-lines files")
    topic: Topic = Field("behaviors", description="the Kafka topic")
    start: _GivenStart = Field(
        "earliest",
        description="where reading begins: earliest, latest, committed (by log.group), or a time, 2026-01-31T12:00Z",
    )
    group: Name = Field("recloop", description="the consumer group whose offsets show how far the job has read")
    gone: Literal["fail", "skip"] = Field(
        "fail", description="when offsets were removed before they were read; skip: one dead letter names them"
    )
    partitions: Partitions = Field(4, description="of a log that is not there yet; `recloop deploy` makes it")
    poll_interval_ms: Milliseconds = Field(10, description="from one poll of a partition to the next")
    max_poll_records: Records = Field(512, description="records one poll takes at most")
    allowed_lateness: Lateness = Field(
        timedelta(milliseconds=ALLOWED_LATENESS_MS),
        description="older than its partition's newest event by more: a dead letter",
    )
    earliest_ms: EpochMs = Field(0, description="smallest possible event time, epoch ms")
    max_ahead: Lateness = Field(
        timedelta(milliseconds=MAX_AHEAD_MS),
        description="how far an event time may lie after its record was appended; the clock where the log has no time",
    )


class ActionSettings(SettingsGroup):
    """A row of the action table."""

    code: Annotated[int, Between(1, 255)] = Field(description="what state stores; never given to another action")
    kind: Kind
    weight: Weight
    half_life: Duration


class ProfileSettings(SettingsGroup):
    """The limits of a user's profile."""

    history_block: Records = Field(50, description="the history grows to twice this, then the oldest block goes")
    seen_limit: Remembered = Field(500, description="items remembered as seen after they left the history")
    bought_limit: Remembered = Field(1000, description="owned items remembered")
    disliked_limit: Remembered = Field(1000, description="disliked items remembered")
    event_ids_limit: Records = Field(EVENT_IDS_KEPT, description="newest event ids known for dropping repeated events")
    shown_limit: Records = Field(100, description="items shown without an act that are counted")


class ScoringSettings(SettingsGroup):
    """The scoring of candidates by the model."""

    bundle: Folder | None = Field(None, description="the bundle's folder; needed unless lists.policy is history")
    variant: Name = Field("default", description="the name its rows carry, without models.variants")
    threads: Annotated[int, Between(1, 1_024)] = Field(1, description="torch's threads inside one operation")
    device: Device = Field("cpu", description="cpu, cuda, or a certain one, cuda:1")
    device_missing: Literal["refuse", "cpu"] = Field(
        "refuse", description="when that device is not there; cpu: score on the CPU, and say so in the log"
    )
    precision: Literal["float32", "float16", "bfloat16"] = Field(
        "float32", description="of matrix products; the halves are for GPUs"
    )
    batch_max_size: Annotated[int, Between(1, 65_536)] = Field(64, description="histories in one call at most")
    linger_ms: Annotated[float, Between(0.0, 60_000.0)] = Field(
        2.0, description="how long a call waits for more when the model is not idle"
    )
    score_deadline_ms: Annotated[float, Between(0.001, 200.0)] | None = Field(
        200.0, description="a call that takes longer gives fallback lists; at most 200"
    )
    shed_after_ms: Annotated[float, Between(0.001, 86_400_000.0)] | None = Field(
        None, description="a behaviour appended longer ago is not scored: its list is a fallback list"
    )
    coalesce: bool = Field(
        False,
        description="of a user's behaviours in one poll only the newest is scored; the others get fallback lists",
    )
    candidates: Records = Field(
        30, description="items the model proposes for a list at most; unless given, at least lists.length"
    )
    neighbors_of_disliked: Annotated[int, Between(0, 10_000)] = Field(
        5, description="neighbours of a disliked item that are kept out"
    )
    disliked_neighborhoods: Annotated[int, Between(0, 10_000)] = Field(
        10, description="number of newest dislikes whose neighbourhoods are excluded"
    )
    fixed_batch: bool = Field(False, description="pad every call to batch_max_size")
    kept_users: Annotated[int, Between(0, 1_000_000_000)] = Field(
        10_000,
        description="users whose state is kept, where the bundle steps and batches are not fixed; 0: none",
    )
    kept_mb: Mebibytes = Field(
        256, description="what all that is kept of them takes at most, in MiB, in each worker, by all variants together"
    )
    score_cache_mb: MebibytesOrNone = Field(
        0, description="size in MiB of each worker's store of scores, for bundles that do not step; 0: none"
    )
    scores_kept_for: Duration = Field(timedelta(hours=1), description="how old a score out of that store may be")
    elements_in_flight: Remembered = Field(256, description="elements in score-candidates at once")
    parallelism: Subtasks | None = Field(
        None, description="subtasks of score-candidates, each with a model; none: as flink.parallelism"
    )


class ListSettings(SettingsGroup):
    """The rules for making lists."""

    policy: Policy = Field(Policy.RECOMMEND, description="recommend, or history")
    length: Items = Field(10, description="items in a list")
    exclude_seen: bool = Field(True, description="whether a seen item may not be recommended again")
    max_per_group: Items | None = Field(None, description="items of one group in a list at most")
    max_new_items: Items | None = Field(None, description="items one behaviour may bring into a full list")
    hysteresis: Share = Field(0.0, description="lead in score that a newcomer needs over an item of the list before")
    update_interval: Duration | None = Field(
        None,
        description="event time between two lists of the model's; between, a list only loses what may not be shown",
    )
    diversity: Share = Field(
        0.0, description="weight of being unlike the items above, by the bundle's neighbours, against the score"
    )
    explore_share: Share = Field(0.0, description="share of the places that are given to items drawn by chance")
    explore_pool: Items = Field(20, description="next best items that these are drawn from")
    trend_weight: Share = Field(0.1, description="how much of a score is the item's trend")
    impression_discount: Share = Field(0.8, description="a score's factor for each time shown without an act")
    withdrawn: tuple[str, ...] = Field((), description="items that nobody may be shown")


class TrendSettings(SettingsGroup):
    """The measure of trends; lists.trend_weight is their weight in a score, and 0 turns them off."""

    half_life: Duration = Field(timedelta(hours=6), description="after so much event time a behaviour counts half")
    capacity: Annotated[int, Between(1, 10_000_000)] = Field(5_000, description="items whose trend is kept")
    size: Remembered = Field(200, description="trending items in a snapshot")
    interval: ShortInterval = Field(timedelta(seconds=5), description="time from one snapshot to the next")


class TableSettings(SettingsGroup):
    """The output tables."""

    folder: Folder = Field(Path(".recloop/tables"), description="the output tables")
    prediction_sample_rate: Share = Field(0.05, description="share of behaviours whose predictions are kept")


class RetentionSettings(SettingsGroup):
    """The numbers of things that `recloop gc` keeps though nothing needs them."""

    savepoints: Annotated[int, Between(1, 10_000)] = Field(
        3, description="newest deployments whose savepoints and checkpoints `recloop gc` keeps, to go back to"
    )
    versions: Annotated[int, Between(0, 10_000)] = Field(
        5, description="newest versions that no pointer names and `recloop gc` keeps in the registry"
    )
    in_progress: Duration = Field(
        timedelta(days=1), description="how old a killed attempt's file is when `recloop gc` removes it"
    )


class FlinkSettings(SettingsGroup):
    """The job's execution on Flink."""

    parallelism: Subtasks = Field(1, description="subtasks of each operator")
    buckets: Subtasks = Field(32, description="user buckets = Flink's max parallelism; fixed at the first deployment")
    checkpoint_interval: Interval = Field(timedelta(seconds=2), description="from one checkpoint to the next")
    buffer_timeout_ms: Annotated[int, Between(0, 3_600_000)] = Field(
        0,
        description="how long a network buffer waits to be filled; 0: not at all, elements are large",
    )
    bundle_time_ms: Milliseconds = Field(10, description="how long elements wait for the Python worker")
    bundle_size: Remembered = Field(
        32, description="elements handed to the Python worker at once at most; a checkpoint waits for them"
    )
