"""The job's settings: typed, frozen, every field with a default.

They are read once, by the command; the job gets the resolved values in a file (`job/settings/planned_job.py`),
operators get plain values. The sources are, the first wins: `--set key=value`, environment variables
(`RECLOOP_LISTS__LENGTH=20`), a TOML file, the defaults here.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, Field, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from job.settings.given import SettingsError, merge, of_sources
from job.settings.groups import (
    ActionSettings,
    FlinkSettings,
    ListSettings,
    LogSettings,
    ProfileSettings,
    RetentionSettings,
    ScoringSettings,
    TableSettings,
    TrendSettings,
)
from job.settings.kafka import KafkaSettings, PublishSettings
from job.settings.learning import LearnSettings
from job.settings.models import ModelsSettings
from job.settings.placement import PlacementSettings
from job.settings.refusals import no_setting, refusal
from job.settings.values import JobName, Name
from model.actions import DEFAULT_ACTIONS
from udfs.lists.list_rules import Policy

__all__ = ["JobSettings", "SettingsError", "load"]


class JobSettings(BaseSettings):
    """The settings of one deployment."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_prefix="RECLOOP_", env_nested_delimiter="__", hide_input_in_errors=True
    )

    job_name: JobName = Field("recloop", description="the job's name on the cluster, and of files about it")
    preset: Literal["live", "replayable"] = Field(
        "live", description="replayable: no deadline, no trends, one thread, a fixed batch shape"
    )
    log: LogSettings = LogSettings()
    kafka: KafkaSettings = KafkaSettings()
    publish: PublishSettings = PublishSettings()
    actions: dict[Name, ActionSettings] = Field(
        default_factory=lambda: _default_actions(), description="added to, or in place of, the built-in table"
    )
    profile: ProfileSettings = ProfileSettings()
    scoring: ScoringSettings = ScoringSettings()
    models: ModelsSettings = ModelsSettings()
    learn: LearnSettings = LearnSettings()
    lists: ListSettings = ListSettings()
    trends: TrendSettings = TrendSettings()
    tables: TableSettings = TableSettings()
    placement: PlacementSettings = PlacementSettings()
    flink: FlinkSettings = FlinkSettings()
    retention: RetentionSettings = RetentionSettings()

    @model_validator(mode="before")
    @classmethod
    def _complete_actions(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Lay given rows over the built-in ones, field by field."""
        given = values.get("actions", {})
        return {**values, "actions": merge(_default_actions(), given)} if isinstance(given, Mapping) else values

    @model_validator(mode="after")
    def _check(self) -> Self:
        codes = [action.code for action in self.actions.values()]
        if len(set(codes)) < len(codes):
            msg = "actions: two of them have the same code"
            raise ValueError(msg)
        for name, subtasks in (("flink", self.flink.parallelism), ("scoring", self.scorers)):
            if subtasks > self.flink.buckets:
                msg = f"{name}.parallelism: {subtasks} subtasks can't share {self.flink.buckets} buckets"
                raise ValueError(msg)
        self._check_topics()
        if self.scoring.score_deadline_ms is None and self.preset != "replayable":
            msg = "scoring.score_deadline_ms: give at most 200; only preset=replayable scores without a deadline"
            raise ValueError(msg)
        if self.reads_natively and self.log.gone == "skip":
            msg = "log.gone=skip needs kafka.connector=python: Flink's own can't tell what it skipped"
            raise ValueError(msg)
        self._check_models()
        if self.placement.scoring == "gpu" and (not self.has_model or self.scoring.device == "cpu"):
            msg = "placement.scoring=gpu needs a model (scoring.bundle or models.url) and scoring.device=cuda"
            raise ValueError(msg)
        return self

    def _check_topics(self) -> None:
        read = (self.log.topic,) if self.log.kind == "kafka" else ()
        topics = (*read, *self.publish.topics)
        if topics and self.kafka.brokers is None:
            why = "log.kind=kafka" if read else "a topic in publish"
            msg = f"kafka.brokers is needed with {why}, as --set kafka.brokers=host:9092"
            raise ValueError(msg)
        if len(set(topics)) < len(topics):
            msg = "log.topic, publish.lists_topic and publish.dead_letters_topic have to be different topics"
            raise ValueError(msg)

    def _check_models(self) -> None:
        if self.lists.policy is Policy.RECOMMEND and not self.has_model:
            msg = "scoring.bundle is needed, or models.url: `recloop train` makes one (or set lists.policy=history)"
            raise ValueError(msg)
        if self.scoring.bundle is not None and self.models.serve:
            msg = "scoring.bundle is the one model that is served: give it, or models.url and models.variants"
            raise ValueError(msg)
        if self.preset == "replayable" and self.models.serve:
            msg = (
                "preset=replayable needs one bundle, by scoring.bundle: which model scored a behaviour would "
                "depend on when it came with models.url, and on a test's weights with models.variants"
            )
            raise ValueError(msg)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Use only the values that `load` and `PlannedJob.of_file` pass in; nothing else reads the environment."""
        return (init_settings,)

    @property
    def has_model(self) -> bool:
        """True if a model scores; else lists are made without scores."""
        return self.scoring.bundle is not None or self.models.serve

    @property
    def scorers(self) -> int:
        """The number of subtasks of score-candidates, each with its model."""
        return self.scoring.parallelism or self.flink.parallelism

    @property
    def slots(self) -> int:
        """The number of slots that the job takes if scoring shares them with everything else."""
        return max(self.flink.parallelism, self.scorers)

    @property
    def reads_natively(self) -> bool:
        """True if Flink's own connector reads the topic."""
        return self.log.kind == "kafka" and self.kafka.connector == "native"

    @property
    def publishes_natively(self) -> bool:
        """True if Flink's own connector writes lists; our publisher writes dead letters, which keep their bytes."""
        return self.publish.lists_topic is not None and self.kafka.connector == "native"

    def with_enough_candidates(self) -> "JobSettings":
        """Raise the number of candidates to a list's length unless it was given; else fallbacks would fill up lists."""
        if "candidates" in self.scoring.model_fields_set or self.lists.length <= self.scoring.candidates:
            return self
        scoring = self.scoring.model_copy(update={"candidates": self.lists.length})
        return self.model_copy(update={"scoring": scoring})

    def with_preset(self) -> "JobSettings":
        """Return the settings with what the preset fixes."""
        if self.preset != "replayable":
            return self
        fixed = {
            "score_deadline_ms": None,
            "shed_after_ms": None,
            "coalesce": False,
            "threads": 1,
            "fixed_batch": True,
            "kept_users": 0,
            "score_cache_mb": 0,
        }
        scoring = self.scoring.model_copy(update=fixed)
        lists = self.lists.model_copy(update={"trend_weight": 0.0})
        return self.model_copy(update={"scoring": scoring, "lists": lists})

    def resolved(self) -> "JobSettings":
        """Return the settings with the preset applied and every path absolute."""
        settings = self.with_preset()
        scoring = settings.scoring
        if scoring.bundle is not None:
            scoring = scoring.model_copy(update={"bundle": scoring.bundle.absolute()})
        log = self.log.model_copy(update={"folder": self.log.folder.absolute()})
        tables = self.tables.model_copy(update={"folder": self.tables.folder.absolute()})
        publish = self.publish
        if publish.lists_folder is not None:
            publish = publish.model_copy(update={"lists_folder": publish.lists_folder.absolute()})
        learn = self.learn.model_copy(update={"folder": self.learn.folder.absolute()})
        apart = {"publish": publish, "kafka": self.kafka.resolved(), "models": self.models.resolved(), "learn": learn}
        return settings.model_copy(update={"scoring": scoring, "log": log, "tables": tables, **apart})


def load(
    file: Path | None = None,
    overrides: Sequence[str] = (),
    *,
    defaults: Mapping[str, Any] | None = None,
    needs_model: bool = True,
) -> JobSettings:
    """Return the settings from all sources.

    Args:
        file: a TOML file with a table per group.
        overrides: "group.name=value", value as JSON or a plain word.
        defaults: values that replace the defaults here, below all other sources.
        needs_model: False for commands that use no model: settings without one are then taken, as lists.policy=history.

    Raises:
        SettingsError: settings are unknown or have impossible values; the text names them.
    """
    values: dict[str, Any] = dict(defaults or {})
    sources = of_sources(JobSettings, file, overrides).values()
    _check_names(sources)
    for source in sources:
        values = merge(values, source)
    lists = values.get("lists", {})
    if not needs_model and isinstance(lists, Mapping) and lists.get("policy", Policy.RECOMMEND) == Policy.RECOMMEND:
        values = merge(values, {"lists": {"policy": Policy.HISTORY}})
    try:
        settings = JobSettings(**values).with_enough_candidates()
    except ValidationError as error:
        raise SettingsError(refusal(error, JobSettings)) from error
    _check_new(settings)
    return settings


def _check_names(sources: Iterable[Mapping[str, Any]]) -> None:
    """Refuse names that are no setting in exactly this spelling, and a group given as one value.

    Both would replace the values of other sources or be replaced by them, as BaseSettings takes names in any case.
    """
    given = [pair for source in sources for pair in source.items()]
    if wrong := dict.fromkeys(line for name, value in given if (line := _wrong_name(name, value))):
        raise SettingsError("\n".join(wrong))


def _wrong_name(name: str, value: object) -> str | None:
    field = JobSettings.model_fields.get(name)
    if field is None:
        return no_setting(name, JobSettings)
    is_group = name == "actions" or isinstance(field.default, BaseModel)
    if is_group and not isinstance(value, Mapping):
        return f"{name}: a group of settings, not {value!r}: give {name}.NAME=VALUE"
    return None


def _check_new(settings: JobSettings) -> None:
    """Refuse what can't be meant, in new settings only: those of a deployed job stay readable."""
    log, tables = settings.log, settings.tables
    if log.earliest_ms in _SECONDS:
        msg = (
            f"log.earliest_ms: give milliseconds, {log.earliest_ms * 1000}: {log.earliest_ms} is a time of our days in "
            "seconds only, and in milliseconds one of 1970"
        )
        raise SettingsError(msg)
    if log.allowed_lateness < log.max_ahead:
        msg = (
            f"log.allowed_lateness ({log.allowed_lateness}) is below log.max_ahead ({log.max_ahead}): one event ahead "
            "of its time would make the others of its partition late until then; raise the first or lower the second"
        )
        raise SettingsError(msg)
    lists_folder = settings.publish.lists_folder
    if lists_folder is not None and lists_folder.absolute() in {log.folder.absolute(), tables.folder.absolute()}:
        msg = f"publish.lists_folder is {lists_folder}, which has something else: give lists a folder of their own"
        raise SettingsError(msg)
    if log.kind == "files" and log.folder.absolute() == tables.folder.absolute():
        msg = f"log.folder and tables.folder are both {log.folder}: give the tables a folder of their own"
        raise SettingsError(msg)


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


_SECONDS = range(946_684_800, 4_102_444_800)
"""The years 2000 to 2099 in epoch seconds; as milliseconds they are weeks of 1970."""
