"""A job that its cluster lost: when it counts as lost, and which states it is submitted from."""

import json
from collections.abc import Mapping
from pathlib import Path

from job.cluster import FlinkRest
from job.cluster.checkpoint_files import _HEADER, _MAGIC, METADATA
from job.cluster.uris import file_uri
from job.deployment.history import DeploymentHistory, Step
from job.deployment.keep_running import Keeper
from job.deployment.restore_point import Folders, RestorePoints
from tests.unit.cluster.web import Page, web

JOB = "0" * 32


def jobs(*states: str) -> Page:
    found = [
        {"jid": JOB, "name": "mine", "state": state, "start-time": number, "duration": 1}
        for number, state in enumerate(states)
    ]
    return Page(json.dumps({"jobs": found}).encode())


def test_a_job_is_lost_when_the_cluster_forgot_it_while_it_ran() -> None:
    keeper = Keeper("mine")
    with web({"/jobs/overview": jobs()}) as server, FlinkRest(server.url) as rest:

        def is_lost(page: Page) -> bool:
            server.pages = {"/jobs/overview": page}
            return keeper.is_lost(rest)

        assert not is_lost(jobs()), "it was never there"
        assert not is_lost(jobs("RUNNING"))
        assert not is_lost(Page(b"no JobManager", 503))
        assert is_lost(jobs())
        assert is_lost(jobs()), "until it is there again"
        assert not is_lost(jobs("RESTARTING"))
        assert not is_lost(jobs("CANCELED"))
        assert not is_lost(jobs()), "somebody ended it"


def checkpoint(folder: Path, number: int, job_id: str = JOB) -> str:
    path = folder / job_id / f"chk-{number}"
    path.mkdir(parents=True)
    (path / METADATA).write_bytes(_HEADER.pack(_MAGIC, 4, number) + b"state")
    return file_uri(path)


def test_states_are_tried_from_the_newest_on_and_each_once(tmp_path: Path) -> None:
    history = DeploymentHistory(tmp_path / "deployments", "mine")
    files = dict.fromkeys(("settings", "archive", "entry"), "file")
    first = checkpoint(tmp_path / "checkpoints", 3)
    history.write(Step.SUBMITTING, 1, 0, job_id=JOB, uri=first, **files)
    history.write(Step.CONFIRMED, 1, 0, job_id=JOB)
    older, newer = (checkpoint(tmp_path / "checkpoints", number) for number in (9, 10))
    (tmp_path / "checkpoints" / JOB / "chk-11").mkdir()
    folders = Folders.of({"execution.checkpointing.dir": file_uri(tmp_path / "checkpoints")}, None)

    points = RestorePoints(FlinkRest("http://127.0.0.1:1"), history, folders, [], is_local=True)

    assert [each.uri for each in points.newest_first()] == [newer, older, first]
    newest = points.newest()
    assert newest is not None
    assert newest.uri == newer


def test_a_job_that_was_restored_from_its_newest_state_goes_on_from_that_one(tmp_path: Path) -> None:
    """Flink names it as restored from, which is an older place; the checkpoint before it came first."""
    checkpoints = tmp_path / "checkpoints"
    older, newer = (checkpoint(checkpoints, number) for number in (8, 9))
    history = deployed(tmp_path, {JOB: None})
    counts = {"completed": 9, "failed": 0, "in_progress": 0, "restored": 1}
    restored = {"counts": counts, "latest": {"restored": {"id": 9, "external_path": newer}}, "history": []}
    pages = {"/jobs/overview": jobs("RESTARTING"), f"/jobs/{JOB}/checkpoints": Page(json.dumps(restored).encode())}
    with web(pages) as server, FlinkRest(server.url) as rest:
        points = RestorePoints(rest, history, folders_in(checkpoints), rest.jobs(), is_local=True)
        assert [each.uri for each in points.newest_first()] == [newer, older]


def test_a_deployment_that_went_back_goes_on_from_where_it_went_back_to(tmp_path: Path) -> None:
    checkpoints = tmp_path / "checkpoints"
    older, newer = (checkpoint(checkpoints, number) for number in (8, 9))
    history = deployed(tmp_path, {JOB: None, "1" * 32: older})
    points = RestorePoints(FlinkRest("http://127.0.0.1:1"), history, folders_in(checkpoints), [], is_local=True)
    assert [each.uri for each in points.newest_first()] == [older, newer]


def deployed(folder: Path, began: Mapping[str, str | None]) -> DeploymentHistory:
    """A history of confirmed deployments, one for each job, and the state that each began from."""
    history = DeploymentHistory(folder / "deployments", "mine")
    files = dict.fromkeys(("settings", "archive", "entry"), "file")
    for number, (job_id, uri) in enumerate(began.items(), start=1):
        history.write(Step.SUBMITTING, number, 0, job_id=job_id, uri=uri, **files)
        history.write(Step.CONFIRMED, number, 0, job_id=job_id)
    return history


def folders_in(checkpoints: Path) -> Folders:
    return Folders.of({"execution.checkpointing.dir": file_uri(checkpoints)}, None)
