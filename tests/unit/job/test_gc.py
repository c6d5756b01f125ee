"""What nothing needs is found with the reason, and removed only when asked for; all else stays."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from job.cli import app
from job.cluster import FlinkRest
from job.cluster.uris import local_path
from job.commands.deploying import Place
from job.deployment.history import DeploymentHistory
from job.deployment.rollback import way_back
from job.deployment.savepoints import Savepoints
from job.housekeeping.collect import garbage
from job.housekeeping.garbage import Garbage, GarbageKind
from job.housekeeping.models import unpointed_versions
from job.settings.job_settings import JobSettings, load
from job.settings.planned_job import JobPlan, PlannedJob
from model.registry.errors import RegistryMoveError
from model.registry.registry import Registry
from tests.unit.job.conftest import Deploy
from tests.unit.job.flink_stand_in import FlinkStandIn
from tests.unit.model.tiny_bundle import NAME, write_tiny
from tests.unit.tables.rows import HOUR, behavior, commit
from tests.unit.tables.test_leftovers import hidden

pytestmark = pytest.mark.heavy


@pytest.fixture
def settings(tmp_path: Path) -> JobSettings:
    folders = {"tables.folder": tmp_path / "tables", "models.cache": tmp_path / "cache"}
    given = [f"{name}={json.dumps(str(path))}" for name, path in folders.items()]
    return load(overrides=[*given, "lists.policy=history", "retention.savepoints=2"]).resolved()


@pytest.fixture
def rest(flink: FlinkStandIn) -> Iterator[FlinkRest]:
    with FlinkRest(flink.url) as rest:
        yield rest


def found(flink: FlinkStandIn, rest: FlinkRest, settings: JobSettings) -> list[Garbage]:
    return list(garbage(flink.target(), rest, settings))


def test_state_that_no_kept_deployment_began_from_goes(
    flink: FlinkStandIn, put: Deploy, rest: FlinkRest, settings: JobSettings
) -> None:
    done = [put() for _ in range(5)]
    taken = Savepoints(flink.target(), rest, "recloop").take(timeout_s=20)
    flink.checkpoint(flink.running()[0], flink.folder / "checkpoints", is_savepoint=False)
    foreign = flink.folder / "checkpoints" / ("f" * 32)
    foreign.mkdir()
    listed = found(flink, rest, settings)

    savepoints = {str(local_path(each.place)) for each in listed if each.kind is GarbageKind.SAVEPOINT}
    assert savepoints == {str(local_path(str(each.restored_from))) for each in done[1:3]}
    folders = {Path(each.place).name for each in listed if each.kind is GarbageKind.CHECKPOINTS}
    assert folders == {each.job_id for each in done[:4]}
    assert len(listed) == 6
    assert all(each.size_bytes is not None and each.reason for each in listed)

    for each in listed:
        each.remove()
    assert found(flink, rest, settings) == []
    assert foreign.is_dir()
    assert taken.uri in {each.uri for each in Savepoints(flink.target(), rest, "recloop").all()}
    assert way_back(DeploymentHistory(flink.folder / "deployments", "recloop"), is_local=True).state
    assert put().restored_from is not None
    assert flink.running()[0].root == done[0].job_id


def test_a_checkpoint_that_a_kept_deployment_began_from_stays(
    flink: FlinkStandIn, put: Deploy, rest: FlinkRest, settings: JobSettings
) -> None:
    first = put()
    flink.refuses_savepoints = True
    second = put()
    assert "chk-" in str(second.restored_from)
    assert found(flink, rest, settings) == []

    for _ in range(2):
        put()
    listed = found(flink, rest, settings)
    assert [Path(each.place).name for each in listed] == [first.job_id]


@pytest.mark.parametrize("state", ["RESTARTING", "FAILED", "CANCELED"])
def test_no_state_goes_while_the_job_is_not_well(
    state: str, flink: FlinkStandIn, put: Deploy, rest: FlinkRest, settings: JobSettings
) -> None:
    for _ in range(5):
        last = put()
    assert found(flink, rest, settings) != []
    flink.jobs[last.job_id].state = state
    assert found(flink, rest, settings) == []


def test_no_state_goes_before_the_attempt_has_a_checkpoint_of_its_own(
    flink: FlinkStandIn, put: Deploy, rest: FlinkRest, settings: JobSettings
) -> None:
    for _ in range(5):
        put()
    flink.restart(flink.running()[0])
    assert found(flink, rest, settings) == []


def test_what_is_needed_by_the_time_of_its_removal_stays(
    flink: FlinkStandIn, put: Deploy, rest: FlinkRest, settings: JobSettings
) -> None:
    for _ in range(4):
        put()
    folders = [each for each in found(flink, rest, settings) if each.kind is GarbageKind.CHECKPOINTS]
    first = Path(folders[0].place)
    flink.jobs[first.name].state = "RUNNING"
    for each in folders:
        each.remove()

    assert first.is_dir()
    assert not any(Path(each.place).exists() for each in folders[1:])


def test_files_of_old_deployments_and_of_killed_attempts_go(
    flink: FlinkStandIn, put: Deploy, rest: FlinkRest, settings: JobSettings
) -> None:
    put()
    table = settings.tables.folder / "user_behavior" / HOUR
    left, needed = hidden(table, [behavior(1)]), hidden(table.with_name("hour=08"), [behavior(7)])
    commit(table, "part-a-0", [behavior(1, epoch=2)])
    (only,) = found(flink, rest, settings)
    assert (only.kind, Path(only.place)) == (GarbageKind.TABLE_FILE, left)
    only.remove()
    assert (left.exists(), needed.exists()) == (False, True)

    later = hidden(table, [behavior(1)])
    os.utime(later, (time.time() - 60,) * 2)
    assert found(flink, rest, settings) == []


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """Versions 1 to 6, of which 2 is current, 4 the candidate and 1 was current before."""
    registry = Registry(tmp_path / "registry")
    for version in "123456":
        registry.register(write_tiny(tmp_path / f"bundle-{version}", version).path)
    registry.promote(NAME, "1")
    registry.promote(NAME, "2")
    registry.set_candidate(NAME, "4")
    return registry


def serving(tmp_path: Path, kept: int, *more: str) -> JobSettings:
    url = json.dumps(str(tmp_path / "registry"))
    return load(overrides=[f"models.url={url}", f"models.name={NAME}", f"retention.versions={kept}", *more])


def test_versions_that_nothing_names_go_but_the_newest(tmp_path: Path, registry: Registry) -> None:
    def unpointed(kept: int) -> list[str]:
        return [Path(each.place).name for each in unpointed_versions(serving(tmp_path, kept), tmp_path / "deployments")]

    assert [unpointed(kept) for kept in (0, 1, 2, 3, 4)] == [["3", "5", "6"], ["3", "5"], ["3"], [], []]
    (third,) = unpointed_versions(serving(tmp_path, 2), tmp_path / "deployments")
    third.remove()
    assert registry.versions(NAME) == ("1", "2", "4", "5", "6")
    assert not (tmp_path / "registry" / NAME / "3").exists()
    with pytest.raises(RegistryMoveError):
        registry.remove(NAME, "1")


def test_a_version_that_a_deployment_names_as_a_variant_stays(
    tmp_path: Path, registry: Registry, flink: FlinkStandIn, put: Deploy
) -> None:
    deployed = put()
    variants = 'models.variants={"a": {"model": "3"}, "b": {"model": "current"}}'
    PlannedJob(serving(tmp_path, 0, variants), JobPlan()).to_file(deployed.settings)
    found = unpointed_versions(serving(tmp_path, 0), flink.folder / "deployments")
    assert [Path(each.place).name for each in found] == ["5", "6"]


def test_a_version_that_is_promoted_meanwhile_stays(tmp_path: Path, registry: Registry) -> None:
    (third, *_) = unpointed_versions(serving(tmp_path, 0), tmp_path / "deployments")
    registry.promote(NAME, "3")
    with pytest.raises(RegistryMoveError, match="so it stays"):
        third.remove()
    assert "3" in registry.versions(NAME)


def run(flink: FlinkStandIn, monkeypatch: pytest.MonkeyPatch, *words: str) -> Result:
    monkeypatch.setattr(Place, "of", classmethod(lambda cls, *_: cls(flink.target(), None)))
    return CliRunner().invoke(app, ["gc", *words], env={"COLUMNS": "300"})


def test_the_command_lists_and_removes_only_with_yes(
    flink: FlinkStandIn, put: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = [put() for _ in range(5)]
    listed = run(flink, monkeypatch, "--set", "retention.savepoints=1")
    assert listed.exit_code == 0, listed.output
    assert "nothing was removed: recloop gc --yes does" in listed.output
    assert (flink.folder / "checkpoints" / done[0].job_id).is_dir()

    kept = run(flink, monkeypatch, "--set", "retention.savepoints=9", "--json")
    assert {each["kind"] for each in json.loads(kept.stdout)["garbage"]} == {"checkpoints"}
    removed = json.loads(run(flink, monkeypatch, "--set", "retention.savepoints=1", "--yes", "--json").stdout)
    assert removed["removed"] is True
    assert len(removed["garbage"]) == 7
    assert not (flink.folder / "checkpoints" / done[0].job_id).exists()
    assert "there is nothing that nothing needs" in run(flink, monkeypatch).output


def test_what_cannot_be_removed_is_named_and_the_rest_goes(
    flink: FlinkStandIn, put: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = [put() for _ in range(4)]
    monkeypatch.setattr(flink, "dispose", lambda uri: None)
    flink.disposal_failure = "org.apache.flink.FlinkException: no right to it\n"
    result = run(flink, monkeypatch, "--set", "retention.savepoints=1", "--yes")
    assert result.exit_code == 1
    assert "stays: Flink could not remove" in result.output
    assert "no right to it" in result.output
    assert not (flink.folder / "checkpoints" / done[0].job_id).exists()
