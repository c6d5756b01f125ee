"""What each setting takes: every number has bounds, every text a form, and all else is refused in one sentence."""

import json
import re
import types
import typing
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from job.settings.given import merge
from job.settings.groups import ActionSettings
from job.settings.job_settings import JobSettings, SettingsError, load
from job.settings.models import VariantSettings
from job.settings.placement import SlotSettings
from job.settings.planned_job import JobPlan, PlannedJob
from job.settings.values import bounds_of

pytestmark = pytest.mark.heavy
SLOT = {"cpu_cores": 1.0, "task_heap_mb": 512}
GIVEN: dict[str, Any] = {
    "lists": {"policy": "history"},
    "models": {"variants": {"a": {"bundle": "a"}, "b": {"bundle": "b"}}},
    "placement": {"gpu_slot": SLOT, "state_slot": SLOT},
}
BELOW: dict[str, tuple[str, type[BaseModel]]] = {
    "actions": ("click", ActionSettings),
    "models.variants": ("a", VariantSettings),
    "placement.gpu_slot": ("", SlotSettings),
    "placement.state_slot": ("", SlotSettings),
}
"""Settings that hold further ones: below what name, and which."""


def leaves(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Yield every setting that is one value, with its name as --set takes it."""
    for name, field in model.model_fields.items():
        path = f"{prefix}{name}"
        if isinstance(field.default, BaseModel):
            yield from leaves(type(field.default), f"{path}.")
        elif path in BELOW:
            key, below = BELOW[path]
            yield from leaves(below, f"{path}.{key}." if key else f"{path}.")
        else:
            yield path, field


def types_of(annotation: Any) -> set[Any]:
    """Return the plain types in an annotation."""
    if typing.get_origin(annotation) in {types.UnionType, typing.Union, tuple, typing.Annotated}:
        return {each for part in typing.get_args(annotation) for each in types_of(part)}
    return {annotation}


LEAVES = dict(leaves(JobSettings))
NUMBERS = sorted(name for name, field in LEAVES.items() if types_of(field.annotation) & {int, float, timedelta})
ABSURD = [
    "1" + "0" * 21,
    "-1" + "0" * 21,
    "1e308",
    "-1e308",
    "NaN",
    "Infinity",
    "-1",
    "true",
    '"many"',
    "[]",
    "{}",
    '""',
]


def with_value(name: str, value: object) -> JobSettings:
    """Load the settings with one value given as it is, not as text."""
    nested: Any = value
    for part in reversed(name.split(".")):
        nested = {part: nested}
    return load(defaults=merge(GIVEN, nested))


def value_of(settings: JobSettings, name: str) -> Any:
    value: Any = settings
    for part in name.split("."):
        value = value[part] if isinstance(value, dict) else getattr(value, part)
    return value


def is_tuple(name: str) -> bool:
    return typing.get_origin(LEAVES[name].annotation) is tuple


def test_the_walk_finds_the_settings() -> None:
    inner = {"lists.length", "actions.click.weight", "models.variants.a.weight", "placement.gpu_slot.cpu_cores"}
    assert inner < set(NUMBERS)
    assert len(LEAVES) > 80


@pytest.mark.parametrize("absurd", ABSURD)
@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_beyond_its_bounds_is_refused_with_its_name_and_bounds(name: str, absurd: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load(overrides=[f"{name}=[{absurd}]" if is_tuple(name) else f"{name}={absurd}"], defaults=GIVEN)
    said = str(refused.value)
    assert said.startswith(f"{name}.0: give " if is_tuple(name) else f"{name}: give ")
    assert f", {bounds_of(LEAVES[name])}, not " in said
    assert "\n" not in said
    assert len(said) < 250


@pytest.mark.parametrize("name", NUMBERS)
def test_bounds_hold_the_default_and_are_taken_themselves(name: str) -> None:
    bounds, group = bounds_of(LEAVES[name]), value_of(with_value("job_name", "x"), name.rpartition(".")[0])
    assert bounds is not None
    for bound in (bounds.low, bounds.high):
        given = (bound,) if is_tuple(name) else bound
        taken = type(group)(**{**group.model_dump(), name.rpartition(".")[2]: given})
        assert getattr(taken, name.rpartition(".")[2]) == given
    default = LEAVES[name].default
    assert LEAVES[name].is_required() or default in {None, ()} or bounds.low <= default <= bounds.high


ODD = ["a,b", "[]", "[1]", "{}", '{"a":1}', '{"a":{}}', "null", "true", "5", "2.5", '""', "[[1]]", "[null]"]


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize(
    "name", sorted({*LEAVES, *JobSettings.model_fields, *BELOW, "actions.click", "models.variants.a"})
)
def test_no_refusal_is_in_the_words_of_the_library(name: str, odd: str) -> None:
    try:
        load(overrides=[f"{name}={odd}"], defaults=GIVEN)
    except SettingsError as refused:
        for said in str(refused).splitlines():
            assert not re.search(r"Input|Field required|valid |literal\[", said.replace("a valid time", "")), said


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("lists.withdrawn=a,b", 'lists.withdrawn: give a list, as ["a", "b"]'),
        ("lists.withdrawn=[1]", "lists.withdrawn.0: give a text, "),
        ("models.variants=[]", "models.variants: a group of settings: give models.variants.NAME=VALUE"),
        ("actions.click=null", "actions.click: a group of settings: give actions.click.NAME=VALUE"),
        ("scoring.coalesce=maybe", "scoring.coalesce: give true or false"),
        ("log.gone=no", "log.gone: give 'fail' or 'skip'"),
        ("log.start=[]", "log.start: give earliest, latest, committed, or a time"),
    ],
)
def test_a_value_of_another_type_is_refused_with_what_to_give(override: str, told: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load(overrides=[override], defaults=GIVEN)
    assert str(refused.value).startswith(told)


FOLDERS = ("tables.folder", "log.folder", "models.cache", "scoring.bundle", "models.variants.a.bundle")
FILES = ("kafka.ca_file", "kafka.key_file", "kafka.certificate_file")
TOPICS = ("log.topic", "publish.lists_topic", "publish.dead_letters_topic")
ONE_LINE = ("log.group", "scoring.variant", "kafka.username", "models.name", "models.variants.a.model")
TEXTS: dict[tuple[str, ...], tuple[str, ...]] = {
    ("kafka.brokers",): ("", ":", "h", "h:", "h:0", "h:99999", ":9092", "h:1,", "a:1, b:2", "x://h:1"),
    TOPICS: ("", "a/b", ".", "..", "x" * 250, "a b", "é", "a\n"),
    FOLDERS: ("", " ", ".", "/", "a\tb", "s3://bucket/x", "file:///x"),
    FILES: ("", "a\nb"),
    ONE_LINE: ("", " ", "a\x1b[31m", "x" * 256),
    ("job_name",): ("", "a/b", ".", "-a", "x" * 151, "a\n"),
    ("scoring.device",): ("", "gpu", "cuda:", "cuda:٣", "cuda:1000", "cuda\n"),
    ("kafka.password", "kafka.key_password"): ("", "hunter2", "env:", "file:"),
    ("models.url",): ("", " ", "hunter2\n"),
}
WRONG = [(name, text) for names, texts in TEXTS.items() for name in names for text in texts]


@pytest.mark.parametrize(("name", "text"), WRONG)
def test_a_text_of_another_form_is_refused_with_what_to_give(name: str, text: str) -> None:
    with pytest.raises(SettingsError) as refused:
        with_value(name, text)
    said = str(refused.value)
    assert said.startswith(f"{name}: give ")
    assert "\n" not in said
    assert "hunter2" not in said
    assert len(said) < 250


@pytest.mark.parametrize("text", ["h:1", "kafka-1:9092,kafka_2:9093", "[::1]:9092", "10.0.0.1:65535"])
def test_brokers_are_hosts_with_ports(text: str) -> None:
    assert with_value("kafka.brokers", text).kafka.brokers == text


@pytest.mark.parametrize("name", ["", " ", "a\x07", "x" * 256])
@pytest.mark.parametrize("group", ["models.variants", "actions"])
def test_variants_and_actions_have_names_that_can_be_shown(group: str, name: str) -> None:
    row = {"bundle": "x"} if group == "models.variants" else {"code": 40, "kind": "positive", "weight": 1}
    with pytest.raises(SettingsError, match=rf"{group}.*: give a name on one line"):
        with_value(group, {name: {**row, **({} if "bundle" in row else {"half_life": 60})}})


@pytest.mark.parametrize("override", ["=3", "a", "", "=", ".=3", "lists.=3", ".length=3", "lists..length=3", " =1"])
def test_what_sets_nothing_is_refused_with_what_to_write(override: str) -> None:
    with pytest.raises(SettingsError, match=r"^--set takes name=value, as lists\.length=20, not "):
        load(overrides=[override], defaults=GIVEN)


@pytest.mark.parametrize("override", ["a.b.c=3", "lists.length.x=3", "log.x=1", "x=1"])
def test_a_name_of_no_setting_is_refused(override: str) -> None:
    with pytest.raises(SettingsError, match=rf"^{override.partition('=')[0].removesuffix('.x')}|^a: |^log|^x"):
        load(overrides=[override], defaults=GIVEN)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("settings") / "job.json"


def check(file: Path, *overrides: str) -> None:
    """Fail unless settings come of it that can be resolved, written down and read again, or the settings error."""
    try:
        settings = load(overrides=overrides, defaults=GIVEN).resolved()
    except SettingsError:
        return
    PlannedJob(settings, JobPlan()).to_file(file)
    assert PlannedJob.of_file(file).settings == settings


ANY_TEXT = st.text(st.characters())  # lone surrogates too: what a shell hands on of bytes that are no UTF-8
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
).map(json.dumps)
NUMBER_LIKE = st.from_regex(r"[0-9.eE+:,PTDH/-]{0,12}")


@example("lists.withdrawn", "[" * 100_000)
@example("log.folder", "a\0b")
@example("log.topic", "\udcff")
@example("models.url", "http://[")
@example("log.allowed_lateness", "P999999999999D")
@given(st.sampled_from(sorted({*LEAVES, *JobSettings.model_fields, *BELOW})), ANY_TEXT | NUMBER_LIKE | JSON)
def test_any_text_as_a_value_gives_settings_or_the_settings_error(file: Path, name: str, text: str) -> None:
    check(file, f"{name}={text}")


@given(ANY_TEXT | st.from_regex(r"[a-z.=\[\]{}]{0,20}"))
def test_any_text_as_a_setting_gives_settings_or_the_settings_error(file: Path, text: str) -> None:
    check(file, text)


@given(
    st.sampled_from(sorted(LEAVES)),
    st.text(st.characters(codec="utf-8", exclude_characters="\0")) | st.sampled_from(["[", "{}", "null"]),
)
def test_any_variable_gives_settings_or_the_settings_error(file: Path, name: str, text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RECLOOP_" + name.upper().replace(".", "__"), text)
        check(file)
