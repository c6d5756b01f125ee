"""An upgrade with another parallelism, the way back, savepoints and housekeeping, by their commands."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from job.cli import app
from job.cluster import FlinkRest
from job.cluster.uris import local_path
from job.replay.log_writer import LogWriter
from model.records import UserBehavior
from tests.job.fixtures import Deploy, Run

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
USERS = 20


def recloop(run: Run, *words: str) -> Any:
    """Run a command for programs on the cluster, and return what it prints."""
    result = CliRunner().invoke(app, [*words, "--dir", str(run.cluster.directory), "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def act(log: Path, action: str, item: str) -> None:
    with LogWriter(log) as writer:
        writer.append([UserBehavior(f"user-{n}", action, item, 1_000) for n in range(USERS)])


def sequence(run: Run) -> list[tuple[object, ...]]:
    """How many behaviours count, by their number in their user's history."""
    return run.rows("SELECT user_seq, outcome, count(*) FROM user_behavior GROUP BY ALL ORDER BY ALL")


def test_an_upgrade_goes_on_and_a_rollback_makes_what_came_since_again(run_job: Deploy, tmp_path: Path) -> None:
    log = tmp_path / "log"
    first = run_job(log, f"models.cache={json.dumps(str(tmp_path / 'cache'))}")
    act(log, "click", "50")
    first.wait_for_lists(USERS)
    taken = recloop(first, "savepoint", "take")

    second = recloop(first, "upgrade", "--parallelism", "2")
    assert second["replaced"] == first.deployment.job_id
    assert second["log"] == {"partitions": 4, "before": USERS, "after": USERS}
    act(log, "favorite", "181")
    first.wait_for_lists(2 * USERS)
    assert sequence(first) == [(1, "applied", USERS), (2, "applied", USERS)]

    third = recloop(first, "rollback")
    assert third["replaced"] == second["job_id"]
    assert third["restored_from"] == second["restored_from"]
    assert third["code"] == second["code"]
    first.wait_for_lists(2 * USERS)
    assert sequence(first) == [(1, "applied", USERS), (2, "applied", USERS)]
    with FlinkRest(first.cluster.rest_url) as rest:
        assert {vertex.parallelism for vertex in rest.job(third["job_id"]).vertices} == {1}
        rest.wait_for_job(third["job_id"], lambda _: rest.checkpoints(third["job_id"]).is_own, timeout_s=60)

    listed = {each["uri"]: each for each in recloop(first, "savepoint", "list")}
    assert taken["uri"] in listed
    left = [each["uri"] for each in listed.values() if each["is_last"]][-1]
    found = recloop(first, "gc", "--set", "retention.savepoints=1", "--yes")
    assert {"checkpoints", "savepoint"} <= {each["kind"] for each in found["garbage"]}
    assert left in {each["place"] for each in found["garbage"]}
    assert not Path(str(local_path(left))).exists()
    result = CliRunner().invoke(app, ["savepoint", "remove", taken["uri"], "--dir", str(first.cluster.directory)])
    assert result.exit_code == 0, result.output
    assert not Path(str(local_path(taken["uri"]))).exists()

    act(log, "click", "7")
    first.wait_for_lists(3 * USERS)
    assert sequence(first)[-1] == (3, "applied", USERS)
