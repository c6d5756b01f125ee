"""`recloop config`: where a value comes from, what is wrong with a file, and what it would change."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from job.cli import app
from job.cluster import FlinkRest
from job.deployment.comparison import Comparison
from job.deployment.deploy import DeployError, compare_with_running
from job.settings.effective import effective
from job.settings.given import Origin
from job.settings.job_settings import JobSettings, load
from job.settings.names import nearest, setting_names
from tests.unit.job.conftest import Deploy
from tests.unit.job.flink_stand_in import FlinkStandIn

HISTORY = "lists.policy=history"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "mine.toml"
    file.write_text('[lists]\nlength = 40\npolicy = "history"\n[log]\nfolder = "here"\n')
    return file


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "200"})


def test_each_setting_has_the_value_that_wins_and_its_source(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECLOOP_LISTS__EXCLUDE_SEEN", "false")
    monkeypatch.setenv("RECLOOP_LISTS__LENGTH", "30")
    given = ["lists.length=20", "actions.click.weight=3", "preset=replayable"]
    found = {each.name: (each.value, each.origin) for each in effective(file, given)}

    assert found["lists.length"] == (20, Origin.OPTION)
    assert found["lists.exclude_seen"] == (False, Origin.ENVIRONMENT)
    assert found["lists.policy"] == ("history", Origin.FILE)
    assert found["log.folder"] == (str(Path("here").absolute()), Origin.FILE)
    assert found["lists.trend_weight"] == (0.0, Origin.PRESET)
    assert found["flink.buckets"] == (32, Origin.DEFAULT)
    assert found["actions.click.weight"] == (3.0, Origin.OPTION)
    assert found["actions.click.code"][1] is Origin.DEFAULT
    assert found["scoring.candidates"] == (30, Origin.DEFAULT)
    assert {name for name, _ in setting_names(JobSettings)} - found.keys() == {"actions"}


def test_a_value_that_follows_another_is_derived() -> None:
    found = {each.name: each for each in effective(overrides=[HISTORY, "lists.length=50"])}
    assert (found["scoring.candidates"].value, found["scoring.candidates"].origin) == (50, Origin.DERIVED)


def test_a_group_given_as_none_has_that_source() -> None:
    found = {each.name: each for each in effective(overrides=[HISTORY, "placement.gpu_slot=null"])}
    assert found["placement.gpu_slot"].origin is Origin.OPTION


def test_show_prints_what_is_given_or_all_as_json(file: Path) -> None:
    shown = run("config", "show", "--settings", file, "--given")
    assert "lists.length" in shown.output
    assert "flink.buckets" not in shown.output
    every = json.loads(run("config", "show", "--settings", file, "--json").stdout)
    assert every["lists.length"] == {"value": 40, "from": "file"}
    assert every["flink.buckets"] == {"value": 32, "from": "default"}


@pytest.mark.parametrize("given", ['models.url="s3://me:hunter2@host/m"', 'kafka.password="hunter2"'])
@pytest.mark.parametrize("command", ["show", "check"])
def test_a_secret_that_is_given_itself_is_refused_and_not_shown(command: str, given: str, file: Path) -> None:
    words = ["--settings", file] if command == "show" else [file]
    refused = run("config", command, *words, "--set", given, "--set", "models.name=m")
    assert refused.exit_code == 1
    assert "hunter2" not in refused.output


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("lists.lenght", "lists.length"),
        ("list", "lists"),
        ("length", "lists.length"),
        ("job-name", "job_name"),
        ("checkpoint_intervall", "flink.checkpoint_interval"),
        ("actions.click.wieght", "actions.click.weight"),
        ("models.variants.a.bundel", "models.variants.a.bundle"),
        ("placement.gpu_slot.cpu_core", "placement.gpu_slot.cpu_cores"),
        ("kafka.broker", "kafka.brokers"),
        ("zork", None),
        ("zork.zork.zork", None),
        ("", None),
    ],
)
def test_the_nearest_name(wrong: str, meant: str | None) -> None:
    assert nearest(wrong, JobSettings) == meant


@pytest.mark.parametrize("name", [name for name, _ in setting_names(JobSettings)])
def test_a_name_with_a_letter_too_many_is_recognised(name: str) -> None:
    assert nearest(f"{name}z", JobSettings) == name


def test_check_names_every_wrong_setting_with_the_nearest_one(tmp_path: Path) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text("[lists]\nlenght = 5\nlength = 0\n")
    refused = run("config", "check", file)
    assert refused.exit_code == 1
    lines = refused.output.splitlines()
    assert "lists.lenght: there is no such setting; did you mean lists.length?" in refused.output
    assert any("lists.length: give a whole number" in line for line in lines)

    file.write_text("[list]\nlength = 5\n[flnk]\nbuckets = 3\n")
    refused = run("config", "check", file)
    assert "list: there is no such setting; did you mean lists?" in refused.output
    assert "flnk: there is no such setting; did you mean flink?" in refused.output


def test_check_of_a_right_file_says_what_it_gives(file: Path) -> None:
    checked = run("config", "check", file)
    assert checked.exit_code == 0
    assert "3 from file" in checked.output


def test_a_variable_of_no_group_is_refused_with_the_nearest(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECLOOP_LIST__LENGTH", "30")
    refused = run("config", "check", file)
    assert refused.exit_code == 1
    assert "RECLOOP_LIST__LENGTH: did you mean lists?" in refused.output


@pytest.mark.heavy
def test_a_deployment_reports_what_it_changes_before_it_stops_the_job(flink: FlinkStandIn, put: Deploy) -> None:
    first = put("lists.length=10")
    seen: list[tuple[Comparison, list[str]]] = []
    put("lists.length=20", on_comparison=lambda each: seen.append((each, [job.job_id for job in flink.running()])))

    ((comparison, running),) = seen
    assert running == [first.job_id] == [comparison.job_id]
    assert {each.name: (each.before, each.after, each.needs_fresh) for each in comparison.settings} == {
        "lists.length": (10, 20, False)
    }
    assert comparison.code_before == comparison.code_after == first.code
    assert comparison.operators == ("track-users", "write-user-behavior")
    assert comparison.buckets == 32


@pytest.mark.heavy
def test_what_needs_fresh_is_known_without_a_deployment(flink: FlinkStandIn, put: Deploy, tmp_path: Path) -> None:
    put()
    overrides = [HISTORY, "flink.buckets=64", "log.kind=kafka", "kafka.brokers=h:1", "lists.length=7"]
    with FlinkRest(flink.url) as rest:
        found = compare_with_running(rest, flink.folder / "deployments", load(overrides=overrides), flink.code)
        with pytest.raises(DeployError, match="no job named other runs"):
            compare_with_running(rest, flink.folder, load(overrides=[HISTORY, "job_name=other"]), flink.code)
        with pytest.raises(DeployError, match="no record of its deployment"):
            compare_with_running(rest, tmp_path / "elsewhere", load(overrides=[HISTORY]), flink.code)

    assert found.needs_fresh == ["log.kind", "flink.buckets"]
    assert {"lists.length", "kafka.brokers", "log.folder"} <= {each.name for each in found.settings}


@pytest.mark.heavy
def test_diff_prints_the_change_and_the_mark(flink: FlinkStandIn, put: Deploy, file: Path) -> None:
    put()
    (flink.folder / "work").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("job.commands.config.REMOTE_DEPLOYMENTS", flink.folder / "deployments")
        shown = run("config", "diff", file, "--set", "flink.buckets=64", "--jobmanager", flink.url)
        as_json = json.loads(run("config", "diff", file, "--jobmanager", flink.url, "--json").stdout)

    assert shown.exit_code == 0, shown.output
    assert "needs --fresh" in shown.output
    assert "does not fit flink.buckets" in shown.output
    assert {"name": "lists.length", "before": 10, "after": 40, "needs_fresh": False} in as_json["settings"]
