"""TaskManagers of two sorts: scoring runs where a GPU is, everything else where none is."""

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from job.cluster import ClusterSpec, FlinkRest, GpuTaskManagers, RunningCluster
from job.cluster.layout import has_gpu
from job.deployment.submission import DeployError
from job.replay.log_writer import LogWriter
from job.trial import trial_cluster
from model.bundles.bundle import Bundle
from model.records import UserBehavior
from tests.job.fixtures import Deploy, Run, jobs_on
from tests.job.test_killed_worker import workers
from tests.job.waiting import wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

DEVICE = "5"
ON_GPU = ("placement.scoring=gpu", "scoring.device=cuda", "preset=replayable")
APART = (*ON_GPU, "scoring.device_missing=cpu")
USERS = 20


@pytest.fixture(scope="module")
def two_sorts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCluster]:
    """A TaskManager that says it has a GPU, and one that does not."""
    gpus = GpuTaskManagers((DEVICE,), stand_in=True)
    with trial_cluster(ClusterSpec(tmp_path_factory.mktemp("two-sorts"), gpus=gpus), timeout_s=180) as running:
        yield running


@pytest.fixture
def run_apart(two_sorts: RunningCluster, bundle: Bundle, tmp_path: Path) -> Iterator[Deploy]:
    with jobs_on(two_sorts, bundle, tmp_path) as deployed:
        yield deployed


def append(log: Path, times: range) -> None:
    with LogWriter(log) as writer:
        for time in times:
            writer.append([UserBehavior(f"user-{n}", "click", str(n + time), 1_000 + time) for n in range(USERS)])


def assert_kept_apart(run: Run) -> None:
    """Every subtask of score-candidates is on a TaskManager with a GPU, and no other subtask is."""
    with FlinkRest(run.cluster.rest_url) as rest:
        job_id = run.deployment.job_id
        for vertex in rest.job(job_id).vertices:
            on_gpu = [has_gpu(name) for name in rest.task_managers_of(job_id, vertex.vertex_id)]
            assert on_gpu == [vertex.name == "score-candidates"] * vertex.parallelism, vertex.name


def test_scoring_runs_where_the_gpu_is_and_nothing_else_does(run_apart: Deploy, tmp_path: Path) -> None:
    run = run_apart(tmp_path / "log", *APART)
    append(tmp_path / "log", range(3))
    run.wait_for_offsets(3 * USERS, timeout_s=120)

    assert_kept_apart(run)
    assert run.count("recommendation_lists_all", "source = 'scored' AND len(items) = 10") == 3 * USERS
    assert {psutil.Process(pid).environ()["CUDA_VISIBLE_DEVICES"] for pid in workers(run.cluster)} == {DEVICE}


def test_without_the_groups_everything_shares_a_task_manager(run_apart: Deploy, tmp_path: Path) -> None:
    run = run_apart(tmp_path / "log", *APART, "placement.scoring=shared")
    with pytest.raises(AssertionError):
        assert_kept_apart(run)


def test_a_gpu_that_is_not_there_fails_the_deployment_with_the_reason(run_apart: Deploy, tmp_path: Path) -> None:
    append(tmp_path / "log", range(1))
    with pytest.raises(DeployError) as failed:
        run_apart(tmp_path / "log", *ON_GPU)
    assert "DeviceMissingError: scoring.device=cuda" in str(failed.value)
    assert f"CUDA_VISIBLE_DEVICES is {DEVICE}" in str(failed.value)


def test_scoring_comes_back_with_a_killed_gpu_task_manager(run_apart: Deploy, tmp_path: Path) -> None:
    log = tmp_path / "log"
    run = run_apart(log, *APART)
    append(log, range(3))
    run.wait_for_offsets(3 * USERS, timeout_s=120)
    (killed,) = (each for each in run.cluster.task_managers() if has_gpu(each.name))

    run.cluster.kill_task_manager(killed.index)
    append(log, range(3, 6))
    with FlinkRest(run.cluster.rest_url) as rest:
        wait_until(lambda: rest.checkpoints(run.deployment.job_id).restored > 0, timeout_s=120, what="a restore")
    run.wait_for_offsets(6 * USERS, timeout_s=120)

    assert_kept_apart(run)
    assert run.cluster.task_managers()[killed.index].incarnation == killed.incarnation + 1
    assert run.count("recommendation_lists", "source = 'scored'") == 6 * USERS
    assert run.count("user_behavior_all") == 6 * USERS, "no row twice"
