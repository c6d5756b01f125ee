"""The keeper of a local deployment: a process beside the cluster that submits the job again if the cluster loses it.

A JobManager without high availability forgets its jobs when it dies, and its supervisor starts it again without them.
A job that was cancelled, or that ended, is known to the JobManager and left alone. The process is run as
`python -m job.deployment.keep_running CLUSTER_FOLDER JOB_NAME`.
"""

import hashlib
import logging
import math
import sys
from pathlib import Path
from threading import Event

from job.cluster import FlinkRest, RestError, RunningCluster, find
from job.deployment.resume import resume
from job.deployment.steps import ENDED
from job.deployment.submission import Target
from model.errors import RecloopError
from model.waiting import polls

_log = logging.getLogger(__name__)
_POLL_S = 0.5
_LONGEST_PAUSE_S = 60.0
_HA = "high-availability.type"


def keep_running(cluster: RunningCluster, job_name: str) -> None:
    """Have the cluster's supervisor keep a deployed job; do nothing where Flink does."""
    if cluster.application is not None:  # its JobManager brings the job along
        return
    with cluster.rest() as rest:
        if rest.configuration().get(_HA, "NONE").upper() != "NONE":
            return
    name = f"keep-{hashlib.sha256(job_name.encode()).hexdigest()[:8]}"
    cluster.supervise(name, [sys.executable, "-m", __name__, str(cluster.directory), job_name])


class Keeper:
    """A memory of whether the job ran when the cluster was last asked, and its resumption if it is gone since."""

    def __init__(self, job_name: str) -> None:
        self._job_name = job_name
        self._ran = False

    def is_lost(self, rest: FlinkRest) -> bool:
        """Return whether the cluster answers, and forgot a job that ran when it was last asked."""
        try:
            states = [job.state for job in rest.jobs() if job.name == self._job_name]
        except RestError:
            return False
        if states:
            self._ran = any(state not in ENDED for state in states)
        return self._ran and not states


def main(directory: Path, job_name: str) -> None:
    """Keep the job until the process is ended."""
    cluster = find(directory)
    if cluster is None:
        sys.exit(f"no cluster runs in {directory}")
    keeper, pause, failures = Keeper(job_name), Event(), 0
    with FlinkRest(cluster.rest_url) as rest:
        for _ in polls(timeout_s=math.inf, poll_s=_POLL_S):
            if not keeper.is_lost(rest):
                continue
            failures = 0 if _resume(cluster, job_name) else failures + 1
            pause.wait(min(2.0**failures, _LONGEST_PAUSE_S) if failures else 0.0)


def _resume(cluster: RunningCluster, job_name: str) -> bool:
    """Submit the job again, and return whether it runs."""
    _log.warning("the cluster lost the job %s: it is submitted again", job_name)
    try:
        job_id = resume(Target.local(cluster), job_name, lambda news: _log.info("%s", news))
    except (RecloopError, OSError) as error:  # tried again after a pause
        _log.error("%s", error)
        return False
    _log.warning("the job %s runs again as %s", job_name, job_id)
    return True


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    main(Path(sys.argv[1]), sys.argv[2])
