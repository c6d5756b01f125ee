"""A temporary cluster with the job on it, as bench, drills, demo and tests need it."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import MappingProxyType

from job.cluster import ClusterSpec, FlinkRest, RunningCluster, start, stop
from job.cluster.running import Progress
from job.deployment.deploy import DeployRequest, Target, deploy
from job.deployment.shipping import PROJECT
from job.deployment.steps import Deployment
from job.settings.job_settings import JobSettings

WATCHED: Mapping[str, str] = MappingProxyType(
    {
        # Otherwise Flink answers for 3 s from memory, and forgets all but 10 checkpoints.
        "web.refresh-interval": "50 ms",
        "web.checkpoints.history": "1000",
    }
)
"""Flink settings of a cluster whose REST interface is polled often."""

_ENDED_S = 120.0
_STOP_AT_END = "import sys; from pathlib import Path; from {} import stop; sys.stdin.read(); stop(Path(sys.argv[1]))"
_ACCOUNTED = """
    SELECT (SELECT count(*) FROM dead_letters)
         + (SELECT count(*) FROM user_behavior WHERE outcome = 'duplicate')
         + least((SELECT count(*) FROM user_behavior WHERE outcome = 'applied'),
                 (SELECT count(*) FROM recommendation_lists))"""


def silent(_: str) -> None:
    """Report nothing."""


@contextmanager
def trial_cluster(
    spec: ClusterSpec, *, timeout_s: float = 60.0, report: Progress = silent, keep: bool = False
) -> Iterator[RunningCluster]:
    """Yield a cluster that is ready, and stop it after the block unless it is to be kept.

    A cluster whose start fails or is interrupted is removed in any case, and one that is not to be kept also if this
    process is killed.

    Args:
        spec: the cluster.
        timeout_s: how long the start may take.
        report: called at each step.
        keep: whether the cluster keeps running after the block.

    Raises:
        ClusterError: it did not start.
    """
    report("starting a cluster")
    with nullcontext() if keep else stopped_if_killed(spec.directory):
        cluster = start(spec, timeout_s=timeout_s, on_progress=report)
        try:
            yield cluster
        finally:
            if not keep:
                report("stopping the cluster")
                stop(spec.directory)


@contextmanager
def stopped_if_killed(folder: Path, module: str = "job.cluster") -> Iterator[None]:
    """Have the cluster in a folder stopped if the block raises, or this process dies in it, even by SIGKILL.

    Another process waits for the end of its standard input, a pipe that closes with this process.

    Args:
        folder: the cluster's state folder.
        module: the module whose function `stop` stops what runs in such a folder.
    """
    command = [sys.executable, "-c", _STOP_AT_END.format(module), str(folder.absolute())]
    # In the project's folder, since Python looks for modules first where it runs: a user may have their own job.py.
    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True, cwd=PROJECT) as watch:
        try:
            yield
        except BaseException:  # the cluster may run still: Ctrl-C may have broken off its stop
            watch.communicate()
            raise
        watch.kill()


def launch(
    cluster: RunningCluster,
    settings: JobSettings,
    *,
    fresh: bool = True,
    code: Path = PROJECT,
    report: Progress = silent,
) -> Deployment:
    """Deploy the job on a local cluster; on return all its tasks run, and a checkpoint is complete.

    Raises:
        DeployError: Flink refused the job, or it did not start.
    """
    target = Target.local(cluster)
    return deploy(DeployRequest(target=target, settings=settings, fresh=fresh, code=code, on_progress=report))


def end_job(rest: FlinkRest, job_id: str) -> None:
    """Cancel a job and wait until it is over; its retained checkpoints stay.

    Raises:
        RefusedError: the job was over before.
        TimedOutError: the job is not over after two minutes.
    """
    rest.cancel(job_id)
    rest.wait_for_job(job_id, lambda job: job.is_over, timeout_s=_ENDED_S)


def accounted(tables: Path) -> int:
    """Return how many records of the log became a list, a duplicate or a dead letter, counting committed rows only."""
    from job.tables import duck  # the `recloop` command starts without it

    return int(str(duck.query(tables, _ACCOUNTED).rows[0][0]))
