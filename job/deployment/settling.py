"""The wait for a new job to settle: all tasks run, and a checkpoint of its own is complete."""

from contextlib import suppress

from job.cluster import FlinkRest, RestError
from job.deployment.submission import DeployError
from model.waiting import polls

_POLL_S = 0.2
_TOO_MANY_FAILURES = 6
"""The number of failures before the first checkpoint after which a job will not come up by itself."""


def wait_until_settled(rest: FlinkRest, job_id: str, *, timeout_s: float) -> None:
    """Wait until all tasks of a new job run and a checkpoint of its own is complete.

    Raises:
        DeployError: the job ended, failed six times, or did not settle in time; the text holds the reason.
    """
    has_begun = False
    for _ in polls(timeout_s=timeout_s, poll_s=_POLL_S):
        job, done = rest.job(job_id), rest.checkpoints(job_id)
        if job.all_running and done.completed:
            return
        if job.all_running and not has_begun:
            has_begun = True
            with suppress(RestError):  # then wait for the next regular checkpoint
                rest.begin_checkpoint(job_id)
        failures = rest.exceptions(job_id)
        if job.is_over or len(failures) >= _TOO_MANY_FAILURES:
            break
    waiting = sum(vertex.tasks.get("SCHEDULED", 0) + vertex.tasks.get("CREATED", 0) for vertex in job.vertices)
    if failures:
        problem = f"is {job.state} and failed {len(failures)} times: {failures[0].root_cause}"
    elif waiting:
        problem = f"has {waiting} tasks that wait for a slot after {timeout_s:g} s"
    else:
        problem = f"is {job.state}, without a complete checkpoint after {timeout_s:g} s: give it longer by --wait"
    msg = f"the new job {job_id} {problem}"
    raise DeployError(msg)
