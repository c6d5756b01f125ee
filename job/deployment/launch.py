"""The submission of a job under an id that is recorded first; a job that does not come up is given up."""

import uuid
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple

from job.cluster import ClusterSpec, FlinkRest, RestError
from job.cluster.application import Application
from job.deployment import tables_owner
from job.deployment.application import start_application
from job.deployment.history import DeploymentHistory, Shipped, Step, as_fields
from job.deployment.settling import wait_until_settled
from job.deployment.steps import ENDED, DeployRequest
from job.deployment.submission import submit
from job.deployment.tables_owner import Claim
from model.errors import RecloopError

JOB_ID_KEY = "$internal.pipeline.job-id"
"""Flink's setting for the id of a job. The id is chosen here, so it is known before there is a job, and a late client
of a killed deployment submits no second one."""


class Numbers(NamedTuple):
    """The numbers of a deployment; both rise, see `JobPlan`."""

    number: int
    generation: int


class Launch:
    """The submission of a job, whose outcome is recorded.

    Args:
        request: the requested deployment.
        rest: the cluster.
        lock: the descriptor of the deployment's lock, which Flink's client holds as well.
        history: the history that records it.
        has_tables: whether the tables folder is on this machine too.
    """

    def __init__(
        self, request: DeployRequest, rest: FlinkRest, lock: int, history: DeploymentHistory, *, has_tables: bool
    ) -> None:
        self._lock = lock
        self._request = request
        self._rest = rest
        self._history = history
        self._has_tables = has_tables
        self._tables = request.settings.tables.folder

    def submit(
        self,
        which: Numbers,
        shipped: Shipped,
        state: str | None,
        again_of: int | None = None,
        cluster: ClusterSpec | None = None,
    ) -> str:
        """Submit under an id that is recorded first, wait until the job has settled, and return the id.

        Args:
            which: the numbers of the deployment.
            shipped: its files.
            state: URI of the state to go on from; None begins with empty state.
            again_of: number of the deployment whose code and settings these are, if they are no new ones.
            cluster: the cluster to start for an application; None starts the one that the request asks for.

        Raises:
            RecloopError: the job did not come up and was cancelled.
        """
        job_id = uuid.uuid4().hex
        claim = self.claim(which, job_id)
        again = {} if again_of is None else {"again_of": again_of}
        fields = {"cluster": self._request.cluster, **again, **as_fields(shipped)}
        self._write(which, Step.SUBMITTING, job_id=job_id, uri=state, **fields)
        if self._has_tables:
            tables_owner.claim(self._tables, claim)
        self._request.on_step("submitting")
        try:
            self._request.on_progress("submitting")
            self._start(job_id, shipped, state, cluster)
            self._request.on_step("submitted")
            self._request.on_progress("waiting for all tasks to run, and for the first checkpoint")
            wait_until_settled(self._rest, job_id, timeout_s=self._request.wait_s)
            self._request.on_step("settled")
        except (RecloopError, OSError) as error:
            self._give_up(which, job_id, claim, str(error))
            raise
        self._write(which, Step.CONFIRMED, job_id=job_id)
        self._end_strays(job_id)
        self._request.on_step("confirmed")
        return job_id

    def _start(self, job_id: str, shipped: Shipped, state: str | None, cluster: ClusterSpec | None) -> None:
        """Submit the job to the cluster that runs, or start a cluster with it."""
        target = self._request.target
        if target.application is None:
            restore = ["-s", state] if state else []
            files = ["-pyfs", str(shipped.archive), "-py", str(shipped.entry), "--settings", str(shipped.settings)]
            own_id = ["-D", f"{JOB_ID_KEY}={job_id}"]
            submit(target, [*own_id, *restore, *files], keep_open=(self._lock,))
            return
        application = Application(
            job_id=job_id,
            files=str(shipped.archive),
            entry=str(shipped.entry),
            arguments=("--settings", str(shipped.settings)),
            state=state,
        )
        spec = cluster or replace(target.application, task_managers=self._request.settings.slots)
        start_application(target, spec, application, timeout_s=self._request.wait_s)

    def _give_up(self, which: Numbers, job_id: str, claim: Claim, why: str) -> None:
        """Cancel a job that did not come up, and record that nothing of it counts."""
        with suppress(RestError):
            self._rest.cancel(job_id)
            self._rest.wait_for_job(job_id, lambda job: job.is_over, timeout_s=self._request.wait_s)
        self._request.target.end_cluster()
        self._write(which, Step.FAILED, job_id=job_id, why=why)
        if self._has_tables:
            tables_owner.withdraw(self._tables, claim)

    def _end_strays(self, job_id: str) -> None:
        """Cancel other jobs of the same name, which the client of a killed deployment may have submitted."""
        for job in self._rest.jobs():
            if job.name == self._request.settings.job_name and job.state not in ENDED and job.job_id != job_id:
                with suppress(RestError):
                    self._rest.cancel(job.job_id)

    def claim(self, which: Numbers, job_id: str) -> Claim:
        """Return the claim to write into the tables folder."""
        return Claim(
            number=which.number,
            generation=which.generation,
            job_name=self._request.settings.job_name,
            job_id=job_id,
            url=self._rest.url,
            cluster=self._request.cluster,
        )

    def _write(self, which: Numbers, step: Step, **fields: object) -> None:
        self._history.write(step, which.number, which.generation, **fields)
