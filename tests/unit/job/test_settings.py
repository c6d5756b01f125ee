"""Settings: which source wins, what is refused and how that reads, and what a preset fixes."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job.settings.job_settings import SettingsError, load
from job.settings.planned_job import JobPlan, PlannedJob
from udfs.lists.list_rules import Policy

BUNDLE = "scoring.bundle=bundle"
FIVE_SCORERS = ["scoring.parallelism=5"]


@pytest.fixture(autouse=True)
def _no_settings_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RECLOOP_LISTS__LENGTH", raising=False)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "recloop.toml"
    file.write_text('job_name = "of-the-file"\n[lists]\nlength = 30\n[scoring]\nbundle = "bundle"\n')
    return file


def refusal(*overrides: str, file: Path | None = None) -> str:
    with pytest.raises(SettingsError) as refused:
        load(file, [BUNDLE, *overrides])
    return str(refused.value)


def test_every_setting_but_the_bundle_has_a_default() -> None:
    assert load(overrides=[BUNDLE]).lists.length == 10


def test_given_defaults_go_before_the_built_in_ones() -> None:
    assert load(overrides=[BUNDLE], defaults={"lists": {"length": 15}}).lists.length == 15


def test_the_file_goes_before_given_defaults(file: Path) -> None:
    assert load(file, defaults={"lists": {"length": 15}}).lists.length == 30


def test_the_environment_goes_before_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECLOOP_LISTS__LENGTH", "40")
    assert load(file).lists.length == 40


def test_set_goes_before_everything(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECLOOP_LISTS__LENGTH", "40")
    assert load(file, ["lists.length=50"]).lists.length == 50


def test_of_two_sets_the_last_counts() -> None:
    assert load(overrides=[BUNDLE, "lists.length=5", "lists.length=6"]).lists.length == 6


def test_sources_are_merged_value_by_value(file: Path) -> None:
    settings = load(file, ["lists.max_per_group=2"])
    assert (settings.lists.length, settings.lists.max_per_group, settings.job_name) == (30, 2, "of-the-file")


@pytest.mark.parametrize(
    ("override", "group", "name", "value"),
    [
        ("lists.policy=history", "lists", "policy", Policy.HISTORY),
        ('lists.withdrawn=["1", "2"]', "lists", "withdrawn", ("1", "2")),
        ("lists.max_per_group=null", "lists", "max_per_group", None),
        ("log.folder=/some/where", "log", "folder", Path("/some/where")),
        ("log.allowed_lateness=P2D", "log", "allowed_lateness", timedelta(days=2)),
    ],
)
def test_a_value_is_json_or_a_plain_word(override: str, group: str, name: str, value: object) -> None:
    assert getattr(getattr(load(overrides=[BUNDLE, override]), group), name) == value


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("lists.lenght=5", "lists.lenght: there is no such setting"),
        ("list.length=5", "list: there is no such setting"),
        ("lists=5", "lists: "),
        ("lists.length=0", "lists.length: "),
        ("lists.length=many", "lists.length: "),
        ("lists.policy=best", "lists.policy: "),
        ("lists.trend_weight=1.5", "lists.trend_weight: "),
        ("lists.trend_weight=NaN", "lists.trend_weight: "),
        ("scoring.linger_ms=Infinity", "scoring.linger_ms: "),
        ("scoring.score_deadline_ms=201", "scoring.score_deadline_ms: "),
        ("scoring.score_deadline_ms=null", "scoring.score_deadline_ms: give at most 200"),
        ("scoring.linger_ms=-1", "scoring.linger_ms: "),
        ("log.earliest_ms=1700000000", "log.earliest_ms: give milliseconds, 1700000000000: "),
        ("log.allowed_lateness=-1", "log.allowed_lateness: "),
        ("log.max_ahead=-1", "log.max_ahead: "),
        ("log.max_ahead=P8D", "log.allowed_lateness (7 days, 0:00:00) is below log.max_ahead (8 days, 0:00:00)"),
        ("log.allowed_lateness=3600", "log.allowed_lateness (1:00:00) is below log.max_ahead (1 day, 0:00:00)"),
        ("flink.checkpoint_interval=0", "flink.checkpoint_interval: "),
        ("flink.buckets=40000", "flink.buckets: "),
        ("preset=fast", "preset: "),
        ("actions=5", "actions: "),
        ("actions.click=5", "actions.click: "),
        ("actions.gaze.weight=1", "actions.gaze.code: give a value"),
        ("lists.length", "--set takes name=value, as lists.length=20, not 'lists.length'"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(override: str, told: str) -> None:
    assert refusal(override).startswith(told)


def test_all_wrong_settings_are_named_at_once() -> None:
    told = refusal("lists.length=0", "flink.parallelism=0")
    assert [line.split(":")[0] for line in told.splitlines()] == ["lists.length", "flink.parallelism"]


def test_the_bundle_is_asked_for() -> None:
    with pytest.raises(SettingsError, match=r"^scoring\.bundle is needed, or models\.url: `recloop train` makes one"):
        load()


def test_the_history_policy_needs_no_bundle() -> None:
    assert load(overrides=["lists.policy=history"]).scoring.bundle is None


REGISTRY = ("scoring.bundle=null", "models.url=s3://bucket/models", "models.name=m")
TWO = 'models.variants={"a": {"model": "current"}, "b": {"bundle": "b"}}'


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        ((BUNDLE, *REGISTRY[1:]), "scoring.bundle is the one model that is served"),
        ((BUNDLE, TWO.replace('"model": "current"', '"bundle": "a"')), "scoring.bundle is the one model"),
        (REGISTRY[:2], "models: url and name go together"),
        (("scoring.bundle=null", TWO), "models: variants.a.model names a version of a registry"),
        ((*REGISTRY, TWO.replace("b", "c", 1), 'models.variants.a.bundle="x"'), "models.variants.a: a variant needs"),
        ((*REGISTRY, TWO, "models.variants.a.weight=0", "models.variants.b.weight=0"), "models: variants: at least"),
        ((*REGISTRY, "preset=replayable"), "preset=replayable needs one bundle"),
        ((*REGISTRY, TWO, "preset=replayable"), "preset=replayable needs one bundle"),
        ((*REGISTRY, "models.url=s3://me:secret@host/models"), "models: url: holds a password"),
    ],
)
def test_models_that_cannot_be_served_are_refused_with_the_reason(overrides: tuple[str, ...], told: str) -> None:
    said = refusal(*overrides)
    assert said.startswith(told)
    assert "secret" not in said


def test_one_weight_of_a_test_can_be_set_apart() -> None:
    models = load(overrides=[*REGISTRY, TWO, "models.variants.b.weight=0.25"]).models
    assert [(name, each.weight) for name, each in models.variants.items()] == [("a", 1.0), ("b", 0.25)]


def test_resolved_models_have_absolute_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    models = load(overrides=[*REGISTRY, TWO, "models.url=registry", "models.cache=cache"]).resolved().models
    paths = (models.url, models.cache, models.variants["b"].bundle)
    assert paths == (str(tmp_path / "registry"), tmp_path / "cache", tmp_path / "b")


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("RECLOOP_LISTS__LENGHT", "5", "lists.lenght: "),
        ("RECLOOP_LISTS__LENGTH", "many", "lists.length: "),
        ("RECLOOP_LISTS", "no json", "lists"),
        ("RECLOOP_LISTS__WITHDRAWN", "no json", "lists"),
        ("RECLOOP_ACTIONS", "[1]", "actions: "),
        ("RECLOOP_LIST__LENGTH", "5", "list"),
    ],
)
def test_a_wrong_variable_is_refused_by_name(name: str, value: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    assert told in refusal()


def test_other_programs_variables_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECLOOP_CLUSTER", "/somewhere")
    assert load(overrides=[BUNDLE]).job_name == "recloop"


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    assert refusal(file=tmp_path / "none.toml") == f"no settings file {tmp_path / 'none.toml'}"


@pytest.mark.parametrize("content", [b"[lists\nlength = 5", b"\xff\xfe"])
def test_a_file_that_is_no_toml_is_refused_by_name(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    assert refusal(file=file).startswith(f"{file} is no TOML file: ")


def test_publishing_needs_brokers_and_a_topic_of_its_own() -> None:
    assert refusal("publish.lists_topic=lists").startswith("kafka.brokers is needed with a topic in publish")
    brokers = "kafka.brokers=host:9092"
    told = refusal(brokers, "log.kind=kafka", "log.topic=same", "publish.dead_letters_topic=same")
    assert told.startswith("log.topic, publish.lists_topic and publish.dead_letters_topic have to be different")
    assert load(overrides=[BUNDLE, brokers, "publish.lists_topic=lists"]).publish.topics == ("lists",)


def test_an_action_of_ones_own_is_added_to_the_table() -> None:
    row = '{"code": 40, "kind": "positive", "weight": 1.5, "half_life": 60}'
    actions = load(overrides=[BUNDLE, f"actions.gaze={row}"]).actions
    assert (actions["gaze"].weight, actions["click"].weight) == (1.5, 1.0)


def test_two_actions_may_not_share_a_code() -> None:
    row = '{"code": 2, "kind": "positive", "weight": 1.5, "half_life": 60}'
    assert refusal(f"actions.gaze={row}") == "actions: two of them have the same code"


def test_resolved_settings_have_absolute_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    resolved = load(overrides=[BUNDLE, "log.folder=log", "tables.folder=tables"]).resolved()
    paths = (resolved.scoring.bundle, resolved.log.folder, resolved.tables.folder)
    assert paths == (tmp_path / "bundle", tmp_path / "log", tmp_path / "tables")


def test_the_replayable_preset_fixes_what_a_replay_depends_on() -> None:
    overrides = [
        BUNDLE,
        "preset=replayable",
        "scoring.threads=4",
        "scoring.shed_after_ms=500",
        "scoring.coalesce=true",
        "scoring.score_cache_mb=8",
    ]
    resolved = load(overrides=overrides).resolved()
    scoring = resolved.scoring
    assert (scoring.score_deadline_ms, scoring.shed_after_ms, scoring.coalesce) == (None, None, False)
    assert (scoring.threads, scoring.fixed_batch) == (1, True)
    assert (scoring.kept_users, scoring.score_cache_mb) == (0, 0)
    assert resolved.lists.trend_weight == 0


def test_the_live_preset_changes_nothing() -> None:
    settings = load(overrides=[BUNDLE, "scoring.threads=4"])
    assert settings.resolved().scoring.threads == 4
    assert settings.resolved().lists == settings.lists


values: dict[str, st.SearchStrategy[Any]] = {
    "lists.length": st.integers(1, 1000),
    "lists.max_per_group": st.none() | st.integers(1, 9),
    "lists.withdrawn": st.lists(st.text(max_size=3), max_size=3),
    "lists.trend_weight": st.floats(0, 1),
    "scoring.score_deadline_ms": st.floats(0.001, 200),
    "scoring.shed_after_ms": st.none() | st.floats(0.001, 86_400_000),
    "scoring.linger_ms": st.floats(0, 60_000),
    "log.allowed_lateness": st.timedeltas(timedelta(days=1), timedelta(days=10_000)),
    "preset": st.sampled_from(["live", "replayable"]),
}


@given(st.fixed_dictionaries({}, optional=values))
def test_stored_settings_come_back(tmp_path_factory: pytest.TempPathFactory, changed: dict[str, Any]) -> None:
    nested: dict[str, Any] = {"scoring": {"bundle": "b"}, "lists": {}, "log": {}}
    for name, value in changed.items():
        *group, field = name.split(".")
        (nested[group[0]] if group else nested)[field] = value
    settings, path = load(defaults=nested).resolved(), tmp_path_factory.getbasetemp() / "settings" / "job.json"
    PlannedJob(settings, JobPlan()).to_file(path)
    assert PlannedJob.of_file(path).settings == settings


def test_one_field_of_a_built_in_action_is_changed_alone() -> None:
    click = load(overrides=["actions.click.weight=2", "lists.policy=history"]).actions["click"]
    assert (click.code, click.weight) == (2, 2.0)


@pytest.mark.parametrize("operators", ["flink", "scoring"])
def test_more_subtasks_than_buckets_are_refused_by_name(operators: str) -> None:
    with pytest.raises(SettingsError, match=rf"{operators}\.parallelism: 8 subtasks can't share 4 buckets"):
        load(overrides=[f"{operators}.parallelism=8", "flink.buckets=4", "lists.policy=history"])


def test_scorers_are_as_many_as_other_subtasks_unless_told() -> None:
    two, five = (load(overrides=["flink.parallelism=2", "lists.policy=history", *more]) for more in ([], FIVE_SCORERS))
    assert (two.scorers, two.slots) == (2, 2)
    assert (five.scorers, five.slots) == (5, 5)


def test_a_deployed_job_with_settings_that_are_refused_today_can_be_read(tmp_path: Path) -> None:
    settings = load(overrides=[BUNDLE])
    before = settings.model_copy(update={"log": settings.log.model_copy(update={"allowed_lateness": timedelta(0)})})
    PlannedJob(before, JobPlan()).to_file(tmp_path / "job.json")
    assert PlannedJob.of_file(tmp_path / "job.json").settings == before


def test_a_secret_itself_is_refused_and_not_repeated() -> None:
    with pytest.raises(SettingsError, match=r"kafka\.password: give the place") as refused:
        load(overrides=["kafka.password=hunter2", BUNDLE])
    assert "hunter2" not in str(refused.value)


def test_a_topic_needs_brokers_and_sasl_a_user() -> None:
    with pytest.raises(SettingsError, match=r"kafka\.brokers is needed"):
        load(overrides=["log.kind=kafka", BUNDLE])
    with pytest.raises(SettingsError, match=r"SASL_SSL needs kafka\.mechanism"):
        load(overrides=["kafka.security=SASL_SSL", BUNDLE])


def test_a_start_is_a_word_or_a_time_with_its_zone() -> None:
    assert load(overrides=["log.start=latest", BUNDLE]).log.start == "latest"
    timed = load(overrides=["log.start=2026-01-31T12:00Z", BUNDLE]).log.start
    assert timed == datetime(2026, 1, 31, 12, tzinfo=UTC)
    with pytest.raises(SettingsError, match=r"log\.start: give earliest"):
        load(overrides=["log.start=2026-01-31T12:00", BUNDLE])


def test_files_of_the_connection_are_resolved(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    kafka = load(overrides=["kafka.password=file:secret", "kafka.ca_file=ca.pem", BUNDLE]).resolved().kafka
    assert (kafka.password, kafka.ca_file) == (f"file:{tmp_path}/secret", tmp_path / "ca.pem")


@pytest.mark.parametrize(
    "setting", ["scoring.device=gpu", "scoring.device=cuda:", "scoring.precision=int8", "scoring.device_missing=no"]
)
def test_a_device_that_cannot_be_is_refused_by_name(setting: str) -> None:
    assert setting.partition("=")[0] in refusal(setting)


def test_scoring_apart_from_the_rest_needs_a_model_on_a_gpu() -> None:
    assert "scoring.device=cuda" in refusal("placement.scoring=gpu")
    assert load(overrides=[BUNDLE, "placement.scoring=gpu", "scoring.device=cuda"]).placement.gpu_slot is None


@pytest.mark.parametrize("name", ["lists", "log", "actions", "models"])
@pytest.mark.parametrize("value", ["3", "[1]"])
def test_a_group_that_is_one_value_is_refused(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"{name}: a group of settings"):
        load(overrides=[f"{name}={value}", "lists.policy=history"])


@pytest.mark.parametrize(
    "override", ["LISTS.length=1", "lists.LENGTH=1", "SCORING.bundle=x", "Preset=live", "JOB_NAME=x"]
)
def test_a_setting_in_another_spelling_is_refused_from_every_source(override: str, tmp_path: Path) -> None:
    name, _, value = override.partition("=")
    told = rf"^{name.split('.')[0]}(\.LENGTH)?: there is no such setting"
    assert re.match(told, refusal("lists.policy=history", override))
    toml = tmp_path / "s.toml"
    toml.write_text(f"{name} = {value if value.isdigit() else json.dumps(value)}\n")
    assert re.match(told, refusal(file=toml))


def test_a_command_without_a_model_still_checks_the_policy(file: Path) -> None:
    file.write_text('[lists]\npolicy = "recommend"\n')
    assert load(file, needs_model=False).lists.policy is Policy.HISTORY
    with pytest.raises(SettingsError, match=r"^lists\.policy: give 'recommend' or 'history'"):
        load(file, ["lists.policy=best"], needs_model=False)


def test_a_file_may_begin_with_a_byte_order_mark(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert load(file).lists.length == 30


@pytest.mark.parametrize("name", ["log.folder", "tables.folder", "models.cache", "scoring.bundle"])
@pytest.mark.parametrize("folder", ["s3://bucket/folder", "file:///tmp/x", "."])
def test_what_is_no_folder_of_every_machine_is_refused(name: str, folder: str) -> None:
    with pytest.raises(SettingsError, match=f"{name}: give the path of a folder"):
        load(overrides=[f"{name}={folder}", "lists.policy=history"])


def test_log_and_tables_have_folders_of_their_own() -> None:
    with pytest.raises(SettingsError, match=r"log\.folder and tables\.folder"):
        load(overrides=["log.folder=one", "tables.folder=./one", "lists.policy=history"])
