"""The job's settings: typed, frozen, every field with a default.

Read once, by the command; the job gets the resolved values as one JSON file, operators get plain values. Sources, the
first wins: `--set key=value`, environment variables (`RECLOOP_LISTS__LENGTH=20`), a TOML file, the defaults here.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from job.settings_sources import SettingsError, merge, of_environment, of_overrides, of_toml
from model.actions import DEFAULT_ACTIONS, Kind
from udfs.user_list import Policy

__all__ = ["JobSettings", "SettingsError", "load"]

Positive = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]


class _Group(BaseModel):
    # No infinity: JSON, as which the job gets its settings, has none.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class LogSettings(_Group):
    """Where behaviours come from."""

    folder: Path = Field(Path(".recloop/log"), description="the embedded log: a folder of JSON-lines files")
    partitions: Positive = Field(4, description="of a log that is not there yet; `recloop deploy` makes it")
    poll_interval_ms: Positive = Field(10, description="from one poll of a partition to the next")
    max_poll_records: Positive = Field(512, description="records one poll takes at most")
    allowed_lateness: timedelta = Field(
        timedelta(days=7), ge=timedelta(0), description="older than its partition's newest event by more: a dead letter"
    )
    earliest_ms: int = Field(0, ge=0, description="smallest possible event time, epoch ms")
    max_ahead: timedelta = Field(
        timedelta(days=1), ge=timedelta(0), description="how far an event time may lie after the clock"
    )


class ActionSettings(_Group):
    """One row of the action table."""

    code: int = Field(ge=1, le=255, description="what state stores; never given to another action")
    kind: Kind
    weight: float = Field(ge=0)
    half_life: timedelta = Field(gt=timedelta(0))


class ProfileSettings(_Group):
    """What is kept of a user."""

    history_block: Positive = Field(50, description="the history grows to twice this, then the oldest block goes")
    seen_limit: Positive = Field(500, description="items remembered as seen after they left the history")
    bought_limit: Positive = Field(1000, description="owned items remembered")
    disliked_limit: Positive = Field(1000, description="disliked items remembered")
    event_ids_limit: Positive = Field(64, description="newest event ids known for dropping repeated events")
    shown_limit: Positive = Field(100, description="items shown without an act that are counted")


class ScoringSettings(_Group):
    """How the model is asked."""

    bundle: Path | None = Field(None, description="the bundle's folder; needed unless lists.policy is history")
    bundle_hash: str | None = Field(None, description="the hash it must have; `recloop deploy` fills it in")
    variant: str = Field("default", description="the name its rows carry")
    threads: Positive = Field(1, description="torch's threads inside one operation")
    device: str = Field("cpu", description="cpu, or a CUDA device")
    batch_max_size: Positive = Field(64, description="histories in one call at most")
    linger_ms: float = Field(2.0, ge=0, description="how long a call waits for more when the model is not idle")
    score_deadline_ms: float | None = Field(
        200.0, gt=0, description="a call that takes longer: the rules alone make the lists"
    )
    candidates: Positive = Field(30, description="items the model proposes for a list at most")
    neighbors_of_disliked: int = Field(5, ge=0, description="neighbours of a disliked item that are kept out")
    disliked_neighborhoods: int = Field(10, ge=0, description="of how many newest dislikes")
    fixed_batch: bool = Field(False, description="pad every call to batch_max_size")
    elements_in_flight: Positive = Field(256, description="elements in score-candidates at once")


class ListSettings(_Group):
    """How lists are made."""

    policy: Policy = Field(Policy.RECOMMEND, description="recommend, or history")
    length: Positive = Field(10, description="items in a list")
    exclude_seen: bool = Field(True, description="whether a seen item may not be recommended again")
    max_per_group: Positive | None = Field(None, description="items of one group in a list at most")
    max_new_items: Positive | None = Field(None, description="items one behaviour may bring into a full list")
    trend_weight: Share = Field(0.1, description="how much of a score is the item's trend")
    impression_discount: Share = Field(0.8, description="a score's factor for each time shown without an act")
    withdrawn: tuple[str, ...] = Field((), description="items that nobody may be shown")


class TrendSettings(_Group):
    """What counts as trending; lists.trend_weight says how much that counts, and 0 turns it off."""

    half_life: timedelta = Field(
        timedelta(hours=6), gt=timedelta(0), description="after so much event time a behaviour counts half"
    )
    capacity: Positive = Field(5_000, description="items whose trend is kept")
    size: Positive = Field(200, description="items that are told to be trending")
    interval: timedelta = Field(timedelta(seconds=5), gt=timedelta(0), description="how often they are told")


class TableSettings(_Group):
    """Where rows go."""

    folder: Path = Field(Path(".recloop/tables"), description="the output tables")
    prediction_sample_rate: Share = Field(0.05, description="share of behaviours whose predictions are kept")


class FlinkSettings(_Group):
    """How the job runs on Flink."""

    parallelism: Positive = Field(1, description="subtasks of each operator")
    buckets: Positive = Field(
        32, le=32768, description="user buckets = Flink's max parallelism; fixed at the first deployment"
    )
    checkpoint_interval: timedelta = Field(
        timedelta(seconds=2), ge=timedelta(milliseconds=10), description="from one checkpoint to the next"
    )
    buffer_timeout_ms: int = Field(1, ge=0, description="how long a network buffer waits to be filled")
    bundle_time_ms: Positive = Field(10, description="how long elements wait for the Python worker")
    bundle_size: Positive = Field(
        16, description="elements handed to the Python worker at once at most; a checkpoint waits for them"
    )


class JobSettings(BaseSettings):
    """All settings of one deployment."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", env_prefix="RECLOOP_", env_nested_delimiter="__")

    job_name: str = Field("recloop", min_length=1, description="the job's name on the cluster")
    preset: Literal["live", "replayable"] = Field(
        "live", description="replayable: no deadline, no trends, one thread, a fixed batch shape"
    )
    log: LogSettings = LogSettings()
    actions: dict[str, ActionSettings] = Field(
        default_factory=lambda: _default_actions(), description="added to, or in place of, the built-in table"
    )
    profile: ProfileSettings = ProfileSettings()
    scoring: ScoringSettings = ScoringSettings()
    lists: ListSettings = ListSettings()
    trends: TrendSettings = TrendSettings()
    tables: TableSettings = TableSettings()
    flink: FlinkSettings = FlinkSettings()

    @model_validator(mode="before")
    @classmethod
    def _complete_actions(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Given rows are laid over the built-in ones, field by field."""
        given = values.get("actions", {})
        return {**values, "actions": merge(_default_actions(), given)} if isinstance(given, Mapping) else values

    @model_validator(mode="after")
    def _check(self) -> Self:
        codes = [action.code for action in self.actions.values()]
        if len(set(codes)) < len(codes):
            msg = "actions: two of them have the same code"
            raise ValueError(msg)
        if self.flink.parallelism > self.flink.buckets:
            msg = f"flink.parallelism: {self.flink.parallelism} subtasks can't share {self.flink.buckets} buckets"
            raise ValueError(msg)
        if self.lists.policy is Policy.RECOMMEND and self.scoring.bundle is None:
            msg = "scoring.bundle is needed: `recloop train` makes one (or set lists.policy=history)"
            raise ValueError(msg)
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what `load` and `JobSettings.of_file` hand in; nothing else reads the environment."""
        return (init_settings,)

    def resolved(self) -> "JobSettings":
        """The preset applied, and every path absolute."""
        scoring, lists = self.scoring, self.lists
        if self.preset == "replayable":
            fixed = {"score_deadline_ms": None, "threads": 1, "fixed_batch": True}
            scoring = scoring.model_copy(update=fixed)
            lists = lists.model_copy(update={"trend_weight": 0.0})
        if scoring.bundle is not None:
            scoring = scoring.model_copy(update={"bundle": scoring.bundle.absolute()})
        log = self.log.model_copy(update={"folder": self.log.folder.absolute()})
        tables = self.tables.model_copy(update={"folder": self.tables.folder.absolute()})
        return self.model_copy(update={"scoring": scoring, "lists": lists, "log": log, "tables": tables})

    def to_file(self, path: Path) -> None:
        """Writes all values as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.model_dump_json(indent=2))

    @classmethod
    def of_file(cls, path: Path) -> "JobSettings":
        """The inverse of `to_file`."""
        return cls(**json.loads(path.read_text()))


def load(
    file: Path | None = None,
    overrides: Sequence[str] = (),
    *,
    defaults: Mapping[str, Any] | None = None,
) -> JobSettings:
    """The settings from all sources.

    Args:
        file: a TOML file with a table a group.
        overrides: "group.name=value", value as JSON or a plain word.
        defaults: values that replace the defaults here, below all other sources.

    Raises:
        SettingsError: naming the first settings that can't be.
    """
    values: dict[str, Any] = dict(defaults or {})
    for source in (of_toml(file, JobSettings), of_environment(JobSettings), of_overrides(overrides)):
        values = merge(values, source)
    try:
        return JobSettings(**values)
    except ValidationError as error:
        raise SettingsError(_told(error)) from error


def _default_actions() -> dict[str, Any]:
    return {
        name: {
            "code": action.code,
            "kind": action.kind,
            "weight": action.weight,
            "half_life": timedelta(seconds=action.half_life_s),
        }
        for name, action in DEFAULT_ACTIONS.items()
    }


def _told(error: ValidationError) -> str:
    """One line a wrong setting: its name, what is wrong, what was given."""
    lines = []
    for wrong in error.errors():
        name = ".".join(map(str, wrong["loc"]))
        if wrong["type"] == "extra_forbidden":
            lines.append(f"{name}: there is no such setting (recloop config table lists them all)")
            continue
        lines.append(f"{name}: {wrong['msg']}" if name else wrong["msg"].removeprefix("Value error, "))
    return "\n".join(lines)
