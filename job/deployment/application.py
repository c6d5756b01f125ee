"""The start of an application cluster with the job on it: its JobManager, and TaskManagers that ran no other code."""

from contextlib import suppress
from dataclasses import replace

from job.cluster import ClusterError, ClusterSpec, RestError, find, start, stop
from job.cluster.application import Application, end_of
from job.cluster.layout import Layout
from job.deployment.submission import DeployError, Target
from model.waiting import polls

_POLL_S = 0.2


def start_application(target: Target, spec: ClusterSpec, application: Application, *, timeout_s: float) -> None:
    """Start the cluster, and wait until its JobManager has run the script and knows the job.

    What is left of an earlier cluster in the folder is ended before.

    Args:
        target: the folder's cluster.
        spec: the same, with its ports; a job that it has does not count.
        application: the job.
        timeout_s: the time limit for both.

    Raises:
        DeployError: a process did not start, or the script failed or takes too long; then the cluster may still run.
    """
    stop(spec.directory)
    layout = Layout(spec.directory)
    try:
        start(replace(spec, application=application), timeout_s=timeout_s)
    except ClusterError as error:
        msg = f"the application did not start: {end_of(layout) or error}"
        raise DeployError(msg) from error
    with target.rest() as rest:
        for _ in polls(timeout_s=timeout_s, poll_s=_POLL_S):
            with suppress(RestError):  # nobody leads yet
                if any(job.job_id == application.job_id for job in rest.jobs()):
                    return
            if find(spec.directory) is None:
                why = end_of(layout) or f"no cluster runs in {spec.directory} any more"
                break
        else:
            why = f"its script had not declared the job after {timeout_s:g} s: give it longer by --wait"
    msg = f"the application did not start: {why}"
    raise DeployError(msg)
