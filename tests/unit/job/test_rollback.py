"""The way back: the deployment before, on the state that it left, and which savepoints nothing needs."""

from pathlib import Path

import pytest

from job.cluster import FlinkRest
from job.cluster.uris import local_path
from job.deployment.deploy import DeployError, Deployment, deploy
from job.deployment.history import DeploymentHistory, Step, as_fields
from job.deployment.rollback import way_back
from job.deployment.savepoints import Savepoints
from job.deployment.steps import DeployRequest
from job.settings.planned_job import JobPlan, PlannedJob
from tests.unit.job.conftest import Deploy
from tests.unit.job.flink_stand_in import FAILS, WITHOUT_AN_OPERATOR, FlinkStandIn, Job, read_state

pytestmark = pytest.mark.heavy


def runs(flink: FlinkStandIn) -> Job:
    (job,) = flink.running()
    return job


def history(flink: FlinkStandIn) -> DeploymentHistory:
    return DeploymentHistory(flink.folder / "deployments", "recloop")


def go_back(flink: FlinkStandIn) -> Deployment:
    back = way_back(history(flink), is_local=True)
    settings = PlannedJob.of_file(back.deployment.shipped.settings).settings
    request = DeployRequest(
        target=flink.target(), settings=settings, code=flink.code, start_from=back.state, earlier=back.deployment
    )
    return deploy(request)


def length(flink: FlinkStandIn) -> int:
    return int(runs(flink).settings["lists"]["length"])


def test_rollback_takes_the_code_and_settings_before_on_the_state_they_left(flink: FlinkStandIn, put: Deploy) -> None:
    first = put("lists.length=11")
    second = put("lists.length=12")
    entry = flink.code / "job" / "main.py"
    entry.write_text(f"{entry.read_text()}# anew\n")
    third = put("lists.length=13")
    assert first.code == second.code != third.code
    flink.log_length += 10
    done = go_back(flink)

    assert length(flink) == 12
    assert done.restored_from == third.restored_from
    assert done.replaced == third.job_id
    assert done.code == second.code
    assert runs(flink).root == first.job_id
    assert runs(flink).plan["number"] == 4
    assert history(flink).submitted[-1].again_of == 2


def test_each_rollback_goes_one_further_back_until_there_is_none(flink: FlinkStandIn, put: Deploy) -> None:
    for given in (11, 12, 13):
        put(f"lists.length={given}")
    lengths = [length(flink) for _ in range(2) if go_back(flink)]

    assert lengths == [12, 11]
    with pytest.raises(DeployError, match="there is nothing to go back to"):
        go_back(flink)
    put("lists.length=14")
    go_back(flink)
    assert length(flink) == 11


def test_what_was_put_back_after_a_failure_is_no_deployment_of_its_own(flink: FlinkStandIn, put: Deploy) -> None:
    put("lists.length=11")
    put("lists.length=12")
    with pytest.raises(DeployError):
        put("lists.length=13", f"flink.bundle_size={FAILS}")
    assert length(flink) == 12

    go_back(flink)
    assert length(flink) == 11


def test_an_operator_that_only_the_later_code_has_is_no_hindrance(flink: FlinkStandIn, put: Deploy) -> None:
    first = put()
    settings = first.settings
    settings.write_text(settings.read_text().replace('"bundle_size": 32', f'"bundle_size": {WITHOUT_AN_OPERATOR}'))
    put()
    go_back(flink)
    assert runs(flink).settings["flink"]["bundle_size"] == WITHOUT_AN_OPERATOR


def test_there_is_no_way_back_behind_a_fresh_beginning(flink: FlinkStandIn, put: Deploy) -> None:
    put()
    fresh = put(fresh=True)
    with pytest.raises(DeployError, match="there is nothing to go back to"):
        go_back(flink)
    assert runs(flink).job_id == fresh.job_id


@pytest.mark.parametrize("gone", ["state", "code"])
def test_without_the_state_or_the_code_the_message_has_the_other_way(
    gone: str, flink: FlinkStandIn, put: Deploy
) -> None:
    put()
    second = put()
    if gone == "state":
        (Path(str(local_path(str(second.restored_from)))) / "_metadata").unlink()
    else:
        history(flink).submitted[0].shipped.archive.unlink()
    with pytest.raises(DeployError, match="recloop deploy"):
        go_back(flink)
    assert runs(flink).job_id == second.job_id


def test_another_bundle_in_the_same_folder_is_refused(flink: FlinkStandIn, put: Deploy) -> None:
    first, second = put(), put()
    job = PlannedJob.of_file(first.settings)
    PlannedJob(job.settings, JobPlan(number=1, bundle_hashes={"default": "0" * 64})).to_file(first.settings)
    with pytest.raises(DeployError, match="deployment 1 had another model as default"):
        go_back(flink)
    assert runs(flink).job_id == second.job_id


def savepoints(flink: FlinkStandIn, rest: FlinkRest) -> Savepoints:
    return Savepoints(flink.target(), rest, "recloop")


def test_savepoints_are_listed_with_what_needs_them_and_removed_if_nothing_does(
    flink: FlinkStandIn, put: Deploy
) -> None:
    put()
    stopped = [put().restored_from for _ in range(3)]
    with FlinkRest(flink.url) as rest:
        mine = savepoints(flink, rest)
        taken = mine.take(timeout_s=20)
        flink.checkpoint(runs(flink), flink.folder / "checkpoints", is_savepoint=False)
        found = mine.all()
        needed = {each.uri: each.needed_for for each in found}

        assert [each.deployment for each in found] == [1, 2, 3, 4]
        assert [each.is_last for each in found] == [True, True, True, False]
        assert [uri for uri, use in needed.items() if use] == [found[2].uri]
        assert found[2].uri.removeprefix("file://") == str(stopped[2]).removeprefix("file:").removeprefix("//")
        assert found[3].uri == taken.uri
        with pytest.raises(DeployError, match="recloop rollback goes back to it"):
            mine.remove(found[2].uri)
        mine.remove(found[0].uri)
        mine.remove(taken.uri)
        assert [each.uri for each in mine.all()] == [found[1].uri, found[2].uri]
        with pytest.raises(DeployError, match="is no savepoint of the job recloop"):
            mine.remove(str(flink.folder / "checkpoints"))
    go_back(flink)


def test_the_newest_state_of_a_stopped_job_is_needed(flink: FlinkStandIn, put: Deploy) -> None:
    put()
    job = runs(flink)
    flink.log_length += 10
    flink.stop(job, None)
    with FlinkRest(flink.url) as rest:
        (only,) = savepoints(flink, rest).all()
        assert only.needed_for == "it is the job's newest state"
        assert read_state(Path(str(local_path(only.uri))) / "_metadata")[1] == flink.log_length


def test_savepoints_of_other_jobs_are_not_shown(flink: FlinkStandIn, put: Deploy) -> None:
    put()
    other = flink.folder / "savepoints" / "savepoint-abcdef-0123456789ab"
    other.mkdir(parents=True)
    (other / "_metadata").write_bytes(b"")
    with FlinkRest(flink.url) as rest:
        assert savepoints(flink, rest).all() == []


def test_a_history_of_an_earlier_release_names_no_original(tmp_path: Path, put: Deploy, flink: FlinkStandIn) -> None:
    put()
    files = history(flink).submitted[0].shipped
    old = DeploymentHistory(tmp_path / "old", "recloop")
    old.write(Step.SUBMITTING, 7, 0, job_id="a" * 32, uri=None, **as_fields(files))
    assert (old.submitted[0].again_of, old.submitted[0].original) == (None, 7)
