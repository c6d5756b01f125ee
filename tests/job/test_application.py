"""Application mode: a cluster for the job alone, whose transactions are those of a session cluster."""

import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from job.cluster import ClusterSpec, RunningCluster, find, stop
from job.cluster.application import end_of
from job.cluster.checkpoint_files import newest_checkpoint
from job.cluster.uris import local_path
from job.deployment.deploy import DeployError, Deployment, DeployRequest, Target, deploy
from job.deployment.import_graph import PACKAGES
from job.deployment.shipping import PROJECT
from job.replay.log_writer import LogWriter
from job.settings.job_settings import load
from job.trial import WATCHED, stopped_if_killed
from model.bundles.bundle import Bundle
from model.records import UserBehavior
from tests.job.fixtures import Run
from tests.job.test_redeploy import changed_code
from tests.job.waiting import wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
USERS = 20
MAIN = "job/main.py"
WAIT_S = 240.0


@dataclass(frozen=True, slots=True)
class Application:
    """A folder for an application's cluster, and a log for its job."""

    folder: Path
    bundle: Path
    high_availability: bool

    @property
    def target(self) -> Target:
        spec = ClusterSpec(
            self.folder / "cluster", extra_config=WATCHED, high_availability=self.high_availability, metrics_port=0
        )
        return Target.for_application(spec)

    def deploy(self, code: Path = PROJECT, *further: str) -> Deployment:
        overrides = [
            f"log.folder={json.dumps(str(self.folder / 'log'))}",
            f"tables.folder={json.dumps(str(self.folder / 'tables'))}",
            f"scoring.bundle={json.dumps(str(self.bundle))}",
            *further,
        ]
        return deploy(DeployRequest(target=self.target, settings=load(overrides=overrides), code=code, wait_s=WAIT_S))

    def run(self, deployment: Deployment) -> Run:
        return Run(self.cluster, deployment, self.folder / "tables")

    @property
    def cluster(self) -> RunningCluster:
        found = find(self.folder / "cluster")
        assert found is not None
        return found

    def act(self, action: str, item: str) -> None:
        with LogWriter(self.folder / "log") as writer:
            writer.append([UserBehavior(f"user-{n}", action, item, 1_000) for n in range(USERS)])


Make = Callable[[bool], Application]


@pytest.fixture
def make(bundle: Bundle, tmp_path: Path) -> Iterator[Make]:
    """Makes an application's folder; what runs in it is ended."""
    with stopped_if_killed(tmp_path / "cluster"):
        yield lambda ha: Application(tmp_path, bundle.path, ha)
        stop(tmp_path / "cluster")


def counted(run: Run) -> list[tuple[object, ...]]:
    """How many behaviours count, by their number in their user's history."""
    return run.rows("SELECT user_seq, outcome, count(*) FROM user_behavior GROUP BY ALL ORDER BY ALL")


def completes_another_checkpoint(run: Run) -> bool:
    """Whether the job runs from a restored checkpoint and has completed one since."""
    with run.cluster.rest() as rest:
        return rest.checkpoints(run.deployment.job_id).is_own


def test_new_code_runs_in_fresh_task_managers_on_the_state_and_a_killed_job_manager_goes_on(make: Make) -> None:
    application = make(False)
    first = application.deploy()
    application.act("click", "50")
    application.run(first).wait_for_lists(USERS)
    pids = {each.pid for each in application.cluster.task_managers()}

    second = application.deploy(changed_code(application.folder / "changed"))
    assert second.replaced == first.job_id
    assert second.code != first.code
    assert Path(str(local_path(str(second.restored_from)))).name.startswith("savepoint-")
    assert not pids & {each.pid for each in application.cluster.task_managers()}
    application.act("favorite", "181")
    run = application.run(second)
    run.wait_for_lists(2 * USERS)
    assert counted(run) == [(1, "applied", USERS), (2, "applied anew", USERS)]
    variants = "SELECT list_version, variant, count(*) FROM recommendation_lists GROUP BY ALL ORDER BY ALL"
    assert run.rows(variants) == [(1, "default", USERS), (2, "default anew", USERS)]

    checkpoints = run.cluster.layout.checkpoints
    before = newest_checkpoint(checkpoints, second.job_id)
    killed = run.cluster.job_manager_pid
    assert killed
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: run.cluster.job_manager_pid not in {None, killed}, timeout_s=60, what="another JobManager")
    application.act("click", "7")
    run.wait_for_lists(3 * USERS, timeout_s=WAIT_S)
    assert counted(run)[-1] == (3, "applied anew", USERS)
    with run.cluster.rest() as rest:
        restored = rest.checkpoints(second.job_id).restored_from
        assert restored is not None
        assert before is not None
        assert int(restored.rpartition("chk-")[2]) >= int(before.name.removeprefix("chk-"))

        rest.cancel(second.job_id)
    wait_until(lambda: find(run.cluster.directory) is None, timeout_s=120, what="the cluster's end with its job")
    assert end_of(run.cluster.layout) == "the job was ended (its JobManager exited with 0)"


def test_a_script_that_fails_is_told_by_its_exit_status_and_the_old_job_goes_on_with_as_many_task_managers(
    make: Make,
) -> None:
    application = make(False)
    first = application.deploy(PROJECT, "flink.parallelism=2")
    application.act("click", "50")
    application.run(first).wait_for_lists(USERS)
    broken = application.folder / "broken"
    for package in PACKAGES:
        shutil.copytree(PROJECT / package, broken / package)
    text = (broken / MAIN).read_text()
    assert "    env.execute(" in text
    fault = '    raise ValueError("no such job")\n    env.execute('
    (broken / MAIN).write_text(text.replace("    env.execute(", fault))

    with pytest.raises(DeployError, match="The old code and settings go on") as raised:
        application.deploy(broken, "flink.parallelism=1")
    assert "exited with 1443" in str(raised.value)
    assert "no such job" in str(raised.value)
    assert "its state is file:" in str(raised.value)
    assert len(application.cluster.task_managers()) == 2
    application.act("click", "7")
    run = application.run(first)
    run.wait_for_lists(2 * USERS, timeout_s=WAIT_S)
    assert counted(run) == [(1, "applied", USERS), (2, "applied", USERS)]


def test_with_zookeeper_the_standby_takes_the_job_over_at_its_newest_checkpoint(make: Make) -> None:
    application = make(True)
    first = application.deploy()
    application.act("click", "50")
    run = application.run(first)
    run.wait_for_lists(USERS)
    before = newest_checkpoint(run.cluster.layout.checkpoints, first.job_id)
    run.cluster.kill_job_manager()

    application.act("click", "7")
    run.wait_for_lists(2 * USERS, timeout_s=WAIT_S)
    assert counted(run) == [(1, "applied", USERS), (2, "applied", USERS)]
    assert before is not None
    wait_until(lambda: completes_another_checkpoint(run), timeout_s=WAIT_S, what="a checkpoint since")
    with run.cluster.rest() as rest:
        assert int(str(rest.checkpoints(first.job_id).restored_from).rpartition("chk-")[2]) >= int(
            before.name.removeprefix("chk-")
        )

    second = application.deploy(changed_code(application.folder / "changed"))
    assert second.replaced == first.job_id
    application.act("favorite", "181")
    run = application.run(second)
    run.wait_for_lists(3 * USERS)
    assert counted(run)[-1] == (3, "applied anew", USERS)
