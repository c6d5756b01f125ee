"""A deployment goes on from the newest state, or leaves what runs as it was, whatever is refused or killed."""

import json
import multiprocessing
import os
import platform
import shutil
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from job.cluster import FlinkRest
from job.cluster.uris import local_path
from job.deployment import leftovers, tables_owner
from job.deployment.checks import check_goes_on
from job.deployment.deploy import STEPS, DeployError, deployed_settings
from job.settings.job_settings import JobSettings, SettingsError, load
from tests.unit.job.conftest import Deploy
from tests.unit.job.flink_stand_in import (
    FAILS,
    NOT_DECLARED,
    REFUSED,
    WITHOUT_AN_OPERATOR,
    FlinkStandIn,
    Job,
    read_state,
)
from udfs.attempt import attempt_epoch

pytestmark = pytest.mark.heavy


def runs(flink: FlinkStandIn) -> Job:
    """The only job that runs."""
    (job,) = flink.running()
    return job


def assert_goes_on(flink: FlinkStandIn, root: str) -> None:
    """One job runs, with the state that the first one began."""
    assert runs(flink).root == root


def history_of(flink: FlinkStandIn) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (flink.folder / "deployments/recloop.history.jsonl").read_text().splitlines()]


def test_the_first_deployment_begins_empty_and_the_next_goes_on_from_its_savepoint(
    flink: FlinkStandIn, put: Deploy
) -> None:
    first = put()
    second = put()

    assert first.restored_from is None
    assert second.restored_from is not None
    assert "savepoint-" in second.restored_from
    assert second.replaced == first.job_id
    assert_goes_on(flink, first.job_id)
    assert read_state(Path(str(local_path(second.restored_from))) / "_metadata")[1] == 20


def killed_at(step: str, put: Deploy, *overrides: str, **how: Any) -> None:
    """Deploys in a process that kills itself with -9 when the step is done."""

    def die(done: str) -> None:
        if done == step:
            os.kill(os.getpid(), signal.SIGKILL)

    process = multiprocessing.get_context("fork").Process(target=put, args=overrides, kwargs={"on_step": die, **how})
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_any_step_the_next_deployment_goes_on(step: str, flink: FlinkStandIn, put: Deploy) -> None:
    first = put()
    killed_at(step, put)
    done = put()

    assert done.restored_from is not None
    assert_goes_on(flink, first.job_id)
    assert runs(flink).offset == flink.log_length


@pytest.mark.parametrize("step", [step for step in STEPS if step not in ("stopping", "saved", "ended")])
def test_killed_at_any_step_the_first_deployment_can_be_done_again(step: str, flink: FlinkStandIn, put: Deploy) -> None:
    killed_at(step, put)
    put()

    assert runs(flink).offset == flink.log_length


@pytest.mark.parametrize("step", ["submitting", "submitted", "settled", "confirmed"])
def test_nothing_falls_back_behind_a_fresh_beginning(step: str, flink: FlinkStandIn, put: Deploy) -> None:
    first = put()
    killed_at(step, put, fresh=True)
    put()

    job = runs(flink)
    assert job.root != first.job_id
    assert job.plan["generation"] >= 1


@pytest.mark.parametrize("bundle_size", [FAILS, REFUSED])
def test_what_does_not_come_up_is_replaced_by_the_old_code_on_its_state(
    bundle_size: int, flink: FlinkStandIn, put: Deploy
) -> None:
    first = put()
    with pytest.raises(DeployError) as told:
        put(f"flink.bundle_size={bundle_size}", retry="recloop deploy --again")

    job = runs(flink)
    assert job.settings["flink"]["bundle_size"] == 32
    assert job.restored is not None
    assert job.restored.removeprefix("file:").lstrip("/") in str(told.value)
    assert job.job_id in str(told.value)
    assert "recloop deploy --again" in str(told.value)
    assert "the new code is wrong" in str(told.value) or "refused, for a reason" in str(told.value)
    assert_goes_on(flink, first.job_id)
    assert put().restored_from is not None
    assert_goes_on(flink, first.job_id)


def as_an_earlier_release_wrote_it(file: Path) -> None:
    """Put the numbers of a deployment among its settings, where earlier releases had them."""
    parts = json.loads(file.read_bytes())
    settings, plan = parts["settings"], parts["plan"]
    settings["log"]["start_offsets"] = plan["start_offsets"]
    settings["scoring"]["bundle_hash"] = None
    settings["deployment"] = {name: plan[name] for name in ("number", "generation")}
    file.write_text(json.dumps(settings))


def test_a_job_of_an_earlier_release_is_gone_on_from_or_put_back_in_its_own_form(
    flink: FlinkStandIn, put: Deploy
) -> None:
    first = put()
    as_an_earlier_release_wrote_it(first.settings)
    with pytest.raises(DeployError, match="The old code and settings go on"):
        put(f"flink.bundle_size={FAILS}")
    assert_goes_on(flink, first.job_id)
    newest = max((flink.folder / "deployments").glob("recloop-2*.json"))
    assert json.loads(newest.read_bytes())["deployment"] == {"number": 3, "generation": 0}

    last = put()
    assert last.replaced is not None
    assert_goes_on(flink, first.job_id)
    assert "plan" in json.loads(last.settings.read_bytes())


def test_a_fresh_deployment_that_fails_leaves_the_old_generation(flink: FlinkStandIn, put: Deploy) -> None:
    first = put()
    with pytest.raises(DeployError):
        put(f"flink.bundle_size={FAILS}", fresh=True)

    assert_goes_on(flink, first.job_id)
    assert runs(flink).plan["generation"] == 0
    put()
    assert_goes_on(flink, first.job_id)


def test_numbers_rise_with_every_submission_and_are_never_given_again(flink: FlinkStandIn, put: Deploy) -> None:
    for overrides in ((), (f"flink.bundle_size={FAILS}",), ()):
        with suppress(DeployError):
            put(*overrides)
    shutil.rmtree(flink.folder / "deployments")
    put(fresh=True)

    every = [job.plan["number"] for job in flink.jobs.values()]
    assert every == sorted(set(every))
    assert runs(flink).plan["generation"] == 1


def unknown_setting(flink: FlinkStandIn) -> None:
    newest = max((flink.folder / "deployments").glob("recloop-2*.json"))
    newest.write_text(json.dumps(json.loads(newest.read_text()) | {"new_thing": 1}))


def cut_history(flink: FlinkStandIn) -> None:
    file = flink.folder / "deployments/recloop.history.jsonl"
    file.write_text(file.read_text().replace('"counter"', "counter"))


def later_history(flink: FlinkStandIn) -> None:
    file = flink.folder / "deployments/recloop.history.jsonl"
    file.write_text(file.read_text().replace('"version": 1', '"version": 2'))


def empty_ids(flink: FlinkStandIn) -> None:
    (flink.folder / "deployments/recloop.json").write_text("")


def nothing(_flink: FlinkStandIn) -> None:
    pass


@pytest.mark.parametrize(
    ("spoil", "overrides", "how", "told"),
    [
        (nothing, ("flink.parallelism=3",), {}, r"needs 3 slots.*2 are there: recloop cluster start -n 3"),
        (nothing, ("flink.buckets=64",), {}, r"flink\.buckets=32, or --fresh"),
        (nothing, (), {"start_from": "file:///no/such"}, "no savepoint or checkpoint"),
        (nothing, (), {"start_from": "no such"}, "no savepoint or checkpoint"),
        (nothing, (), {"start_from": "file:///tmp", "fresh": True}, "give one of them"),
        (nothing, (f"flink.bundle_size={NOT_DECLARED}",), {}, "ValueError: no such thing"),
        (nothing, (f"flink.bundle_size={WITHOUT_AN_OPERATOR}",), {}, "keeps state in write-user-behavior.*--fresh"),
        (nothing, ("log.kind=kafka", "kafka.brokers=127.0.0.1:1"), {}, "embedded log.*means nothing.*--fresh"),
        (unknown_setting, (), {}, "new_thing"),
        (cut_history, (), {}, "line 1 of .*history"),
        (later_history, (), {}, "later recloop"),
        (empty_ids, (), {}, "recloop.json, .* is damaged"),
    ],
)
def test_what_can_be_known_is_refused_while_the_old_job_runs(
    spoil: Callable[[FlinkStandIn], None],
    overrides: tuple[str, ...],
    how: dict[str, Any],
    told: str,
    flink: FlinkStandIn,
    put: Deploy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("job.deployment.checks._SLOTS_S", 0.0)
    first = put()
    spoil(flink)

    with pytest.raises((DeployError, SettingsError), match=told) as error:
        put(*overrides, **how)

    assert len(str(error.value).splitlines()) == 1
    assert [job.job_id for job in flink.jobs.values()] == [first.job_id]
    assert runs(flink).job_id == first.job_id


def test_a_refused_savepoint_ends_nothing_where_no_state_would_stay(flink: FlinkStandIn, put: Deploy) -> None:
    first = put()
    flink.refuses_savepoints, flink.retains = True, False

    with pytest.raises(DeployError, match=r"no space.*goes on"):
        put()

    assert runs(flink).job_id == first.job_id


def test_without_a_savepoint_the_newest_checkpoint_that_stays_is_taken(flink: FlinkStandIn, put: Deploy) -> None:
    first = put()
    flink.refuses_savepoints = True

    assert "chk-" in str(put().restored_from)
    assert_goes_on(flink, first.job_id)


@pytest.mark.parametrize("state", ["RESTARTING", "FAILED", "CANCELED"])
def test_a_job_that_is_not_well_is_gone_on_from_its_newest_checkpoint(
    state: str, flink: FlinkStandIn, put: Deploy
) -> None:
    first = put()
    flink.jobs[first.job_id].state = state

    assert "chk-" in str(put().restored_from)
    assert_goes_on(flink, first.job_id)


@pytest.mark.parametrize("restarts", [False, True])
def test_what_may_be_restored_after_a_savepoint_is_never_what_the_attempt_began_with(
    restarts: bool, flink: FlinkStandIn, put: Deploy
) -> None:
    """A job may fail to end after the savepoint that committed its rows, and restore its newest checkpoint."""
    first = flink.jobs[put().job_id]
    if restarts:
        flink.restart(first)
    began_with = first.restored_id if restarts else None
    put()

    savepoint, newest = first.kept[:2]
    assert savepoint["is_savepoint"]
    assert not newest["is_savepoint"]
    assert attempt_epoch(1, newest["id"], None) > attempt_epoch(1, began_with, None)


def test_a_restarted_job_that_completes_no_checkpoint_is_gone_on_from_its_newest(
    flink: FlinkStandIn, put: Deploy
) -> None:
    first = put()
    flink.restart(flink.jobs[first.job_id])
    flink.completes_checkpoints = False

    def ended(step: str) -> None:
        flink.completes_checkpoints |= step == "ended"

    done = put(savepoint_s=0.2, on_step=ended)

    assert done.restored_from is not None
    assert "chk-1" in done.restored_from
    assert_goes_on(flink, first.job_id)


def test_a_job_that_fails_again_and_again_is_not_waited_for(flink: FlinkStandIn, put: Deploy) -> None:
    """As one whose log lacks records does until it is deployed with log.gone=skip."""
    first = flink.jobs[put().job_id]
    flink.restart(first)
    flink.completes_checkpoints = False
    told: list[str] = []

    def on_step(step: str) -> None:
        flink.completes_checkpoints |= step == "ended"
        if step == "stopping":  # it runs when it is looked at first, and fails soon after
            threading.Timer(0.5, lambda: setattr(first, "state", "RESTARTING")).start()

    done = put(savepoint_s=30.0, on_step=on_step, on_progress=told.append)

    assert "chk-1" in str(done.restored_from)
    assert [text for text in told if "RESTARTING" in text]
    assert not [text for text in told if "in 30 s" in text]
    assert_goes_on(flink, first.job_id)


def test_a_cluster_that_names_no_folder_for_savepoints_is_given_one(flink: FlinkStandIn, put: Deploy) -> None:
    del flink.configuration["execution.checkpointing.savepoint-dir"]
    first = put(is_local=False)

    assert "/checkpoints/savepoints/savepoint-" in str(put(is_local=False).restored_from)
    assert_goes_on(flink, first.job_id)


def test_a_savepoint_that_ends_after_the_wait_for_it_is_found(flink: FlinkStandIn, put: Deploy) -> None:
    first = put()
    flink.savepoint_lasts_s = 1.0
    with pytest.raises(DeployError, match="may still come"):
        put(savepoint_s=0.0)
    with FlinkRest(flink.url) as rest:
        rest.wait_for_job(first.job_id, lambda job: job.is_over, timeout_s=30)

    assert "savepoint-" in str(put().restored_from)
    assert_goes_on(flink, first.job_id)


@pytest.mark.parametrize("is_remembered", [True, False])
def test_a_job_that_flinks_own_client_stopped_is_gone_on_from(
    is_remembered: bool, flink: FlinkStandIn, put: Deploy
) -> None:
    first = put()
    flink.log_length += 5
    uri = flink.stop(flink.jobs[first.job_id], None)
    if not is_remembered:
        flink.jobs.clear()

    assert local_path(str(put().restored_from)) == local_path(uri)
    assert_goes_on(flink, first.job_id)


def test_where_no_state_of_an_earlier_run_is_found_nothing_begins(flink: FlinkStandIn, put: Deploy) -> None:
    put()
    flink.cancel(runs(flink))
    flink.jobs.clear()
    shutil.rmtree(flink.folder / "checkpoints")
    with pytest.raises(DeployError, match=r"ran before.*--from URI.*--fresh"):
        put()
    shutil.rmtree(flink.folder / "deployments")
    with pytest.raises(DeployError, match=r"ran before.*--from URI.*--fresh"):
        put()

    assert flink.running() == []
    assert put(fresh=True).restored_from is None


def test_state_is_found_by_the_tables_where_the_history_is_gone(flink: FlinkStandIn, put: Deploy) -> None:
    first = put()
    flink.cancel(runs(flink))
    flink.jobs.clear()
    shutil.rmtree(flink.folder / "deployments")

    assert "chk-" in str(put().restored_from)
    assert_goes_on(flink, first.job_id)


def test_the_newest_is_told_by_flinks_count_and_by_no_clock(flink: FlinkStandIn, put: Deploy) -> None:
    first = put()
    job = runs(flink)
    for _ in range(11):
        newest = flink.checkpoint(job, flink.folder / "checkpoints", is_savepoint=False)
    flink.cancel(job)
    flink.jobs.clear()
    for number, file in enumerate(sorted((flink.folder / "checkpoints").glob("*/chk-*/_metadata"))):
        os.utime(file, (1_000_000 - number, 1_000_000 - number))

    assert local_path(str(put().restored_from)) == local_path(newest)
    assert_goes_on(flink, first.job_id)


def test_a_second_deployment_at_once_is_refused_and_told_who_is_at_it(flink: FlinkStandIn, put: Deploy) -> None:
    refused: list[str] = []

    def again(step: str) -> None:
        if step == "packed":
            with pytest.raises(DeployError) as told:
                put()
            refused.append(str(told.value))

    put(on_step=again)

    assert f"process {os.getpid()}" in refused[0]
    assert len(flink.jobs) == 1


def test_two_jobs_over_one_tables_folder_are_refused(flink: FlinkStandIn, put: Deploy) -> None:
    first = put()
    with pytest.raises(DeployError, match=rf"recloop \({first.job_id}\).*still runs"):
        put("job_name=other")
    flink.cancel(runs(flink))

    put("job_name=other")
    assert runs(flink).name == "other"


def test_a_job_deployed_from_elsewhere_is_gone_on_from_and_not_taken_for_another(
    flink: FlinkStandIn, put: Deploy
) -> None:
    first = put()
    (flink.folder / "deployments").rename(flink.folder / "elsewhere")
    second = put()
    assert second.restored_from is not None
    shutil.rmtree(flink.folder / "deployments")
    (flink.folder / "elsewhere").rename(flink.folder / "deployments")

    third = put()
    assert third.replaced == second.job_id
    assert_goes_on(flink, first.job_id)
    assert runs(flink).offset == flink.log_length


def settings_of(*overrides: str) -> JobSettings:
    return load(overrides=["lists.policy=history", "kafka.brokers=host:9092", *overrides])


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (("log.kind=files",), ("log.kind=kafka",)),
        (("log.kind=kafka",), ("log.kind=files",)),
        (("log.kind=kafka",), ("log.kind=kafka", "kafka.connector=native")),
        (("log.kind=kafka", "kafka.connector=native"), ("log.kind=kafka",)),
        (("log.kind=kafka", "log.topic=a"), ("log.kind=kafka", "log.topic=b")),
        (("flink.buckets=32",), ("flink.buckets=64",)),
    ],
)
def test_what_the_state_cannot_be_read_with_is_refused(before: tuple[str, ...], now: tuple[str, ...]) -> None:
    check_goes_on(settings_of(*before, "lists.length=5"), settings_of(*before), ())
    with pytest.raises(DeployError, match="--fresh"):
        check_goes_on(settings_of(*now), settings_of(*before), ())


def claimed(tables: Path, host: str) -> tables_owner.Claim:
    theirs = tables_owner.Claim(3, 1, "theirs", "0" * 32, "http://127.0.0.1:1", "/elsewhere", host)
    tables_owner.claim(tables, theirs)
    return tables_owner.Claim(4, 1, "mine", "1" * 32, "http://127.0.0.1:1", "/here", host)


def test_tables_of_a_cluster_that_does_not_answer_are_taken_over_only_when_asked(tmp_path: Path) -> None:
    mine = claimed(tmp_path, "another-machine")
    with pytest.raises(DeployError, match=r"job theirs .* does not answer.*--take-over"):
        tables_owner.check_free(tmp_path, mine, take_over=False)
    tables_owner.check_free(tmp_path, mine, take_over=True)


def test_a_cluster_of_this_machine_at_which_nobody_listens_is_gone(tmp_path: Path) -> None:
    tables_owner.check_free(tmp_path, claimed(tmp_path, platform.node()), take_over=False)
    assert tables_owner.highest(tmp_path) == (3, 1)


def test_a_torn_line_of_a_killed_deployment_is_nobodys(flink: FlinkStandIn, put: Deploy) -> None:
    first = put()
    with (flink.folder / "deployments/recloop.history.jsonl").open("a") as file:
        file.write('{"counter": 99, "ste')
    put()

    assert_goes_on(flink, first.job_id)
    assert [each["counter"] for each in history_of(flink)] == list(range(1, len(history_of(flink)) + 1))
    assert all(each["at"].endswith("+00:00") for each in history_of(flink))


def test_the_settings_that_status_reads_are_those_of_what_runs(flink: FlinkStandIn, put: Deploy) -> None:
    put("lists.length=7")
    with pytest.raises(DeployError):
        put(f"flink.bundle_size={FAILS}", "lists.length=8")

    told = deployed_settings(flink.folder / "deployments", "recloop")
    assert told is not None
    assert told.lists.length == 7


def test_files_of_old_deployments_go(flink: FlinkStandIn, put: Deploy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leftovers, "KEPT", 2)
    monkeypatch.setattr(leftovers, "_ANOTHERS_S", -1.0)
    settings = [put().settings for _ in range(3)]

    assert [file.exists() for file in settings] == [False, True, True]
    assert len(list((flink.folder / "deployments" / "code").glob("*.zip"))) == 1


def test_a_history_of_before_is_read(flink: FlinkStandIn, put: Deploy) -> None:
    first = put()
    deployments = flink.folder / "deployments"
    (deployments / "recloop.history.jsonl").unlink()
    (settings,) = deployments.glob("recloop-2*.json")
    settings.rename(deployments / "recloop-20260101-000000.json")
    (deployments / "recloop.json").write_text(json.dumps([first.job_id]))
    flink.jobs.clear()

    assert "chk-" in str(put().restored_from)
    assert_goes_on(flink, first.job_id)


@pytest.mark.parametrize("name", ["../x", "a/b", ".hidden", "", " ", "a\0b", "a\nb", "x" * 151, "é" * 76, "-x", "*"])
def test_a_name_that_is_no_file_name_is_refused(name: str) -> None:
    with pytest.raises(Exception, match="job_name"):
        load(overrides=[f"job_name={json.dumps(name)}", "lists.policy=history"])


@pytest.mark.parametrize("name", ["recloop", "shop 2", "läden-3", "a.b_c"])
def test_a_name_that_people_give_is_taken(name: str) -> None:
    assert load(overrides=[f"job_name={json.dumps(name)}", "lists.policy=history"]).job_name == name
