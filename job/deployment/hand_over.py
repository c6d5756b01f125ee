"""The end of the replaced job, for which a state to go on from must be known to exist.

A stop with a savepoint makes a job FINISHED, and Flink then deletes its checkpoints: only the savepoint is left, so its
URI is recorded before anything else is done.

The savepoint commits rows, and a job that then fails to end is restored from its newest checkpoint. If that were the
one its attempt began with, two attempts would have one epoch (`udfs/attempt.py`). So the attempt first completes a
checkpoint of its own.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from job.cluster import FlinkRest, NotFoundError, RefusedError, RestError, TimedOutError
from job.cluster.records import JobSummary
from job.deployment.restore_point import Folders, RestorePoint
from job.deployment.submission import DeployError
from model.waiting import wait_until

_END_S = 120.0
_POLL_S = 0.2
_RUNNING = "RUNNING"

Newest = Callable[[], RestorePoint | None]
Written = Callable[[str, str], None]
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class HandOver:
    """The end of a job, with or without a savepoint.

    Attributes:
        rest: its cluster.
        folders: the folders in which that keeps state.
        newest: finds the newest state.
        written: records a job's id and the URI of the savepoint that it was stopped with.
        on_progress: called with a message about the work at hand.
        is_needed: whether the job's state is needed; if not, the job is ended even if it gives none.
        savepoint_s: the time limit for a savepoint.
    """

    rest: FlinkRest
    folders: Folders
    newest: Newest
    written: Written
    on_progress: Progress
    is_needed: bool
    savepoint_s: float

    def stop(self, job: JobSummary) -> None:
        """End a job with a savepoint; if Flink refuses one, end it without if its newest checkpoint will stay.

        Raises:
            DeployError: it gave no savepoint and there is no checkpoint that stays; the job goes on.
        """
        self.on_progress("stopping the running job with a savepoint")
        if job.state != _RUNNING:
            self._without(job, f"the job is {job.state}, which gives no savepoint")
            return
        if not self._has_own_checkpoint(job):
            state = self.rest.job(job.job_id).state
            still = f"in {self.savepoint_s:g} s" if state == _RUNNING else f"and is {state}"
            self._without(job, f"it completed no checkpoint {still} since its last restart")
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
        """End a job whose state is not needed, or is known to be kept elsewhere."""
        with suppress(RefusedError, NotFoundError):  # the job ended meanwhile
            self.rest.cancel(job.job_id)
        self.wait_for_end(job)

    def wait_for_end(self, job: JobSummary) -> None:
        """Wait until the job is over.

        Raises:
            TimedOutError: it is not over within two minutes.
        """
        with suppress(NotFoundError):
            self.rest.wait_for_job(job.job_id, lambda now: now.is_over, timeout_s=_END_S, goal="the end of the old job")

    def _has_own_checkpoint(self, job: JobSummary) -> bool:
        """Wait until the job's present attempt has completed a checkpoint, and return whether it has.

        The job may have been restarted just now. One that fails meanwhile is not waited for: it may fail for ever.
        """
        if self.rest.checkpoints(job.job_id).is_own:
            return True
        with suppress(RestError):  # then wait for the next regular checkpoint
            self.rest.begin_checkpoint(job.job_id)

        def is_decided() -> bool:
            return self.rest.checkpoints(job.job_id).is_own or self.rest.job(job.job_id).state != _RUNNING

        wait_until(is_decided, timeout_s=self.savepoint_s, poll_s=_POLL_S)
        return self.rest.checkpoints(job.job_id).is_own

    def _savepoint(self, job: JobSummary, trigger: str) -> str | None:
        """Return the savepoint's URI; None if Flink has forgotten the call and knows no savepoint of the job."""
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
        """Return the URI of the savepoint that the job ended with, as Flink lists it, or None."""
        if not self.rest.job(job.job_id).is_over:
            return None
        savepoint = self.rest.checkpoints(job.job_id).savepoint
        return savepoint.path if savepoint is not None else None

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
