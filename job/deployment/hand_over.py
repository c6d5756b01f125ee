"""Ending the job that is replaced: never without a state that is known to be there and to go on from.

A stop with a savepoint makes a job FINISHED, and Flink then deletes its checkpoints: the savepoint is all that is
left of it, so its place is written down before anything else is done.

The savepoint commits rows, and a job that then fails to end is restored from its newest checkpoint. Were that the one
its attempt began with, two attempts would have one epoch (`udfs/attempt.py`): so the attempt completes a checkpoint of
its own first.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from job.cluster import FlinkRest, NotFoundError, RefusedError, RestError, TimedOutError
from job.cluster.records import JobDetail, JobSummary
from job.deployment.restore_point import Folders, RestorePoint
from job.deployment.submission import DeployError
from model.waiting import wait_until

_END_S = 120.0
_POLL_S = 0.2

Newest = Callable[[], RestorePoint | None]
Written = Callable[[str, str], None]
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class HandOver:
    """How a job is ended.

    Attributes:
        rest: its cluster.
        folders: where that keeps state.
        newest: looks up the newest state.
        written: writes down a job's id and the URI of the savepoint that it was stopped with.
        on_progress: hears what is being done.
        is_needed: whether the job's state is needed; else it is ended also where it gives none.
        savepoint_s: how long a savepoint may take.
    """

    rest: FlinkRest
    folders: Folders
    newest: Newest
    written: Written
    on_progress: Progress
    is_needed: bool
    savepoint_s: float

    def stop(self, job: JobSummary) -> None:
        """End a job with a savepoint; where Flink refuses one, without, if its newest checkpoint will stay.

        Raises:
            DeployError: it gave no savepoint and there is no checkpoint that stays: it goes on.
        """
        self.on_progress("stopping the running job with a savepoint")
        if job.state != "RUNNING":
            self._without(job, f"the job is {job.state}, which gives no savepoint")
            return
        if not self._has_own_checkpoint(job):
            self._without(job, f"it completed no checkpoint in {self.savepoint_s:g} s since its last restart")
            return
        try:
            trigger = self.rest.begin_stop(job.job_id, directory=self.folders.savepoint_target)
            uri = self._savepoint(job, trigger)
        except RefusedError as error:
            self._without(job, str(error))
            return
        if uri is not None:
            self.written(job.job_id, uri)
        self.wait_for_end(job)

    def cancel(self, job: JobSummary) -> None:
        """End a job whose state is not wanted, or known to be elsewhere."""
        with suppress(RefusedError, NotFoundError):  # it ended meanwhile
            self.rest.cancel(job.job_id)
        self.wait_for_end(job)

    def wait_for_end(self, job: JobSummary) -> None:
        """Wait until the job is over.

        Raises:
            TimedOutError: it is not in two minutes.
        """
        with suppress(NotFoundError):
            self.rest.wait_for_job(job.job_id, _is_over, timeout_s=_END_S, what="the end of the old job")

    def _has_own_checkpoint(self, job: JobSummary) -> bool:
        """Wait until a checkpoint of the job's present attempt is complete; it may have been restarted just now."""
        if self.rest.checkpoints(job.job_id).is_own:
            return True
        with suppress(RestError):  # then the next one by itself is waited for
            self.rest.begin_checkpoint(job.job_id)
        return wait_until(lambda: self.rest.checkpoints(job.job_id).is_own, timeout_s=self.savepoint_s, poll_s=_POLL_S)

    def _savepoint(self, job: JobSummary, trigger: str) -> str | None:
        """The savepoint's URI; None where Flink has forgotten the call, and the job is over."""
        try:
            return self.rest.savepoint_of(job.job_id, trigger, timeout_s=self.savepoint_s)
        except NotFoundError:
            return self._found(job)
        except TimedOutError as error:
            if (uri := self._found(job)) is not None:
                return uri
            msg = (
                f"the savepoint was not there after {self.savepoint_s:g} s, and may still come: the job runs on until "
                "then. Nothing is lost: deploy again, that goes on from the savepoint, or from the job as it runs"
            )
            raise DeployError(msg) from error

    def _found(self, job: JobSummary) -> str | None:
        """The savepoint that the job ended with, as Flink lists it."""
        if not self.rest.job(job.job_id).is_over:
            return None
        told = self.rest.checkpoints(job.job_id).savepoint
        return told.path if told is not None else None

    def _without(self, job: JobSummary, why: str) -> None:
        known = self.newest()
        if self.is_needed and (known is None or not self._stays(job, known)):
            msg = (
                f"{why}. The job {job.job_id} goes on, for no state of it is known that would stay: have "
                "execution.checkpointing.dir and execution.checkpointing.savepoint-dir set on the cluster, in folders "
                "that all its machines can write"
            )
            raise DeployError(msg)
        self.on_progress(f"no savepoint to be had ({why}): going on from the newest checkpoint")
        self.cancel(job)

    def _stays(self, job: JobSummary, known: RestorePoint) -> bool:
        return known.job_id != job.job_id or self.rest.retains_checkpoints(job.job_id)


def _is_over(job: JobDetail) -> bool:
    return job.is_over
