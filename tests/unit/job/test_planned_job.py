"""What a deployment resolved is a plan of its own beside the settings: nobody sets it, and it comes back whole."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from job.settings.job_settings import SettingsError, load
from job.settings.planned_job import JobPlan, PlannedJob, Slot, Slots

SETTINGS = load(overrides=["scoring.bundle=bundle", "log.kind=kafka", "kafka.brokers=host:9092"]).resolved()
PLAN = JobPlan(
    number=7,
    generation=2,
    start_offsets=(3, 0, 2**62),
    bundle_hashes={"default": "abc"},
    slots=Slots(gpu=Slot(cpu_cores=0.5, task_heap_mb=400), state=Slot(cpu_cores=1, task_heap_mb=300, managed_mb=200)),
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "job.json"
    PlannedJob(SETTINGS, PLAN).to_file(path)
    return path


def of_earlier_release() -> dict[str, Any]:
    """Return settings as releases wrote them that had the plan among them."""
    settings = load(
        overrides=[
            'models.variants={"a": {"bundle": "one"}, "b": {"bundle": "two"}}',
            "log.kind=kafka",
            "kafka.brokers=host:9092",
        ]
    ).model_dump(mode="json")
    settings["deployment"] = {"number": 4, "generation": 1}
    settings["log"]["start_offsets"] = [5, 6]
    settings["scoring"]["bundle_hash"] = None
    settings["models"]["variants"]["a"]["bundle_hash"] = "abc"
    return settings


def test_settings_and_plan_come_back(file: Path) -> None:
    assert PlannedJob.of_file(file) == PlannedJob(SETTINGS, PLAN)


@pytest.mark.parametrize(
    "override",
    [
        "log.start_offsets=[1]",
        "scoring.bundle_hash=abc",
        'models.variants.a={"bundle": "b", "bundle_hash": "abc"}',
        "deployment.number=3",
        "deployment.generation=3",
        "plan.number=3",
    ],
)
def test_what_a_deployment_resolves_is_no_setting(override: str, tmp_path: Path) -> None:
    name = "models.variants.a.bundle_hash" if override.startswith("models") else override.partition("=")[0]
    named = rf"^({name}|{name.split('.')[0]}): there is no such setting"
    with pytest.raises(SettingsError, match=named):
        load(overrides=["lists.policy=history", override])
    toml = tmp_path / "recloop.toml"
    group, _, setting = name.rpartition(".")
    toml.write_text(f'[lists]\npolicy = "history"\n[{group}]\n{setting} = 3\n')
    with pytest.raises(SettingsError, match=rf"(?m){named}"):
        load(toml)


def test_a_job_that_an_earlier_release_deployed_is_gone_on_from(tmp_path: Path) -> None:
    (tmp_path / "job.json").write_text(json.dumps(of_earlier_release()))
    before = PlannedJob.of_file(tmp_path / "job.json")
    assert before.plan == JobPlan(number=4, generation=1, start_offsets=(5, 6))
    assert sorted(before.settings.models.variants) == ["a", "b"]


def test_the_first_releases_knew_no_numbers_and_no_variants(tmp_path: Path) -> None:
    first = {"job_name": "recloop", "lists": {"policy": "history"}}
    (tmp_path / "job.json").write_text(json.dumps(first))
    assert PlannedJob.of_file(tmp_path / "job.json").plan == JobPlan()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "truncated"),
        (b"\xff", "malformed"),
        (b"[1]", "Expected `object`"),
        (b'{"plan": ' + b"[" * 100_000, "recursion"),
        (b'{"plan": {}}', "missing required field `settings`"),
        (b'{"plan": {"number": -1}, "settings": {"lists": {"policy": "history"}}}', r"\$\.plan\.number"),
        (b'{"plan": {"color": 1}, "settings": {"lists": {"policy": "history"}}}', "unknown field `color`"),
        (b'{"plan": [], "settings": {"lists": {"policy": "history"}}}', "Expected `object`"),
        (b'{"plan": {}, "settings": []}', "Expected `object`"),
        (b'{"plan": {}, "settings": {"lists": {"policy": "history"}}, "more": 1}', "unknown field `more`"),
        (b'{"plan": {}, "settings": {"color": 1}}', "color: there is no such setting"),
        (b'{"log": 1}', ""),
        (b'{"models": {"variants": {"a": 1}}}', ""),
    ],
)
def test_a_damaged_file_is_refused_in_one_sentence_with_what_to_do(content: bytes, told: str, file: Path) -> None:
    file.write_bytes(content)
    with pytest.raises(SettingsError, match=rf"(?i)cannot be read \(.*{told}.*\): mend the file") as refused:
        PlannedJob.of_file(file)
    assert str(refused.value).startswith(f"{file}, the settings of the last deployment, ")
    assert "\n" not in str(refused.value)


values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=60) | values.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_refused_in_a_sentence(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(SettingsError, match="the settings of the last deployment, cannot be read"):
        PlannedJob.of_file(file)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_file_with_another_value_is_refused_or_read_with_that_value(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "job.json"
    PlannedJob(SETTINGS, PLAN).to_file(path)
    parts = json.loads(path.read_bytes())
    part = data.draw(st.sampled_from(["plan", "settings"]))
    name = data.draw(st.sampled_from(sorted(parts[part])))
    parts[part][name] = data.draw(values)
    path.write_text(json.dumps(parts))
    try:
        found = PlannedJob.of_file(path)
    except SettingsError:
        return
    assert (found.plan == PLAN) or part == "plan"
    assert (found.settings == SETTINGS) or part == "settings"
