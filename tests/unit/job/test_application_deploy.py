"""An application's upgrade goes on from the old job's state, or leaves that to be gone on from."""

import json
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from job.cli import app
from job.cluster import ClusterSpec, RunningCluster, StartFailedError, find, stop
from job.cluster.application import Application
from job.cluster.java import Java
from job.cluster.layout import JOB_MANAGER, Layout, flink_home
from job.cluster.lifecycle import prepare_folder
from job.cluster.plan import write_plan
from job.cluster.processes import start_supervisor
from job.deployment.application import start_application
from job.deployment.deploy import DeployError, Deployment, DeployRequest, Target, deploy
from job.settings.job_settings import load
from model.waiting import wait_until
from tests.unit.job.conftest import Deploy
from tests.unit.job.flink_stand_in import FAILS, FlinkStandIn
from tests.unit.job.test_deploy import assert_goes_on, runs

pytestmark = pytest.mark.heavy
REFUSED_BY_THE_JVM = {"env.java.opts.all": "-XX:NoSuch"}


class ApplicationStandIn:
    """An application's cluster: a real supervisor, whose JobManager sleeps while a stand-in answers for it."""

    def __init__(self, flink: FlinkStandIn) -> None:
        self.flink = flink
        self.flink.on_silence = self._end_by_itself
        self.layout = Layout(flink.folder)
        self.started: list[ClusterSpec] = []

    def start(self, spec: ClusterSpec, *, timeout_s: float) -> RunningCluster:
        """Starts the cluster in place of Flink's processes, and has the stand-in take its job."""
        assert timeout_s > 0
        self.started.append(spec)
        if spec.extra_config == REFUSED_BY_THE_JVM:
            msg = "jobmanager ended with status 1: Unrecognized VM option"
            raise StartFailedError(msg)
        for folder in (self.layout.conf, self.layout.lib, self.layout.logs):
            folder.mkdir(exist_ok=True)
        write_plan(spec, Java(Path("/java"), 17), flink_home())
        sleep = [sys.executable, "-I", "-S", "-c", "import time; time.sleep(600)"]
        files = {"scratch": str(self.layout.scratch(JOB_MANAGER)), "out": str(self.layout.out(JOB_MANAGER))}
        self.layout.plan.write_text(json.dumps([{"name": JOB_MANAGER, "argv": sleep, **files}]))
        self.flink.is_silent = False
        application = spec.application
        assert application is not None
        told = json.loads(Path(application.arguments[1]).read_bytes())
        self.flink.submitted({"id": application.job_id, "state": application.state, **told})
        start_supervisor(self.layout, {})
        found = wait_until(lambda: find(self.layout.root), timeout_s=60, poll_s=0.02)
        assert found is not None
        return found

    def _end_by_itself(self) -> None:
        """The supervisor ends what is left, and only then is the cluster known not to run."""
        threading.Timer(0.3, stop, [self.layout.root]).start()

    def target(self, **fields: Any) -> Target:
        spec = ClusterSpec(self.layout.root, **fields)
        if find(spec.directory) is not None:
            return Target.for_application(spec)
        port = self.flink.server_address[1]
        spec = replace(spec, rest_port=port, rpc_port=1, blob_port=2, metrics_port=0)
        return Target(self.flink.url, {}, self.layout.root / "deployments", self.layout.checkpoints, application=spec)

    def deploy(self, *overrides: str, **fields: Any) -> Deployment:
        self.flink.log_length += 10
        folder = self.layout.root.parent
        given = [
            f"log.folder={json.dumps(f'{folder}/log')}",
            f"tables.folder={json.dumps(f'{folder}/tables')}",
            "lists.policy=history",
            *overrides,
        ]
        target, settings = self.target(**fields), load(overrides=given)
        return deploy(DeployRequest(target=target, settings=settings, code=self.flink.code, wait_s=20.0))


@pytest.fixture
def application(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApplicationStandIn]:
    monkeypatch.setattr("job.deployment.settling._POLL_S", 0.01)
    folder = tmp_path / "cluster"
    prepare_folder(folder)
    server = FlinkStandIn(folder)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    made = ApplicationStandIn(server)
    monkeypatch.setattr("job.deployment.application.start", made.start)
    yield made
    server.shutdown()
    thread.join()
    server.server_close()
    stop(folder)


@pytest.mark.parametrize("silent_after", ["job", "savepoint"])
@pytest.mark.parametrize("bundle_size", [32, FAILS])
def test_a_job_manager_that_ends_with_its_job_takes_no_state_along(
    silent_after: str, bundle_size: int, application: ApplicationStandIn
) -> None:
    first = application.deploy()
    application.flink.silent_after = silent_after
    if bundle_size == FAILS:
        with pytest.raises(DeployError, match=r"The old code and settings go on as job .* its state is file:"):
            application.deploy(f"flink.bundle_size={FAILS}")
    else:
        assert "savepoint-" in str(application.deploy().restored_from)
    assert_goes_on(application.flink, first.job_id)


@pytest.mark.parametrize(
    ("overrides", "fields"),
    [
        ([f"flink.bundle_size={FAILS}", "flink.parallelism=2"], {}),
        (["flink.parallelism=2"], {"extra_config": REFUSED_BY_THE_JVM}),
    ],
)
def test_the_old_job_is_put_back_on_the_cluster_that_it_had(
    overrides: list[str], fields: dict[str, Any], application: ApplicationStandIn
) -> None:
    first = application.deploy("flink.parallelism=4", extra_config={"a.b": "c"})
    with pytest.raises(DeployError, match="The old code and settings go on"):
        application.deploy(*overrides, **fields)

    assert [each.task_managers for each in application.started] == [4, 2, 4]
    assert [dict(each.extra_config) for each in application.started] == [
        {"a.b": "c"},
        fields.get("extra_config", {}),
        {"a.b": "c"},
    ]
    assert runs(application.flink).settings["flink"]["parallelism"] == 4
    assert_goes_on(application.flink, first.job_id)


@pytest.mark.parametrize("fresh", [False, True])
def test_a_state_that_cannot_be_asked_for_is_not_taken_for_none(fresh: bool, flink: FlinkStandIn, put: Deploy) -> None:
    first = put()
    flink.silent_after = "job"
    with pytest.raises(DeployError, match="ending the old job went wrong") as told:
        put(f"flink.bundle_size={FAILS}", fresh=fresh)
    assert list(flink.jobs) == [first.job_id], "nothing was put back without its state"
    assert fresh or "its savepoint is file:" in str(told.value)

    flink.is_silent = False
    put()
    assert_goes_on(flink, first.job_id)


def deploy_command(*words: str) -> str:
    """What a refused `recloop deploy` says."""
    result = CliRunner().invoke(app, ["deploy", *words, "--set", "lists.policy=history"], env={"COLUMNS": "400"})
    assert result.exit_code != 0
    return result.output


def test_an_application_is_no_local_target(application: ApplicationStandIn) -> None:
    application.deploy()
    told = deploy_command("--target", "local", "--dir", str(application.layout.root))
    assert "an application runs in" in told
    assert "--target application replaces it, or give another --dir" in told
    assert len(application.flink.running()) == len(application.started) == 1


@pytest.mark.parametrize("target", ["application", "local"])
def test_the_checkpoints_of_a_cluster_elsewhere_are_refused_for_one_here(target: str, tmp_path: Path) -> None:
    told = deploy_command("--target", target, "--dir", str(tmp_path / "cluster"), "--checkpoints", str(tmp_path))
    assert f"--checkpoints is the folder of a cluster at --jobmanager, and --target is {target}" in told


def test_a_cluster_that_is_gone_is_not_said_to_take_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("job.deployment.application.start", lambda _spec, *, timeout_s: timeout_s)
    spec = ClusterSpec(tmp_path, rest_port=1, rpc_port=2, blob_port=3, metrics_port=0)
    target = Target("http://127.0.0.1:1", {}, tmp_path, tmp_path, application=spec)
    with pytest.raises(DeployError, match=r"did not start: no cluster runs in .* any more"):
        start_application(target, spec, Application("j1", "zip", "main.py"), timeout_s=300)
