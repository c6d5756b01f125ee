"""A client of Flink's REST interface: what the cluster and its jobs are doing, and how to end them.

Calls are synchronous and end within a timeout; whatever is polled for has one too. Answers are typed records that hold
what this project reads of them.
"""

import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx

from job.cluster.errors import FaultError, NotFoundError, RefusedError, RestError, TimedOutError, UnreachableError
from job.cluster.records import (
    CheckpointStats,
    Failure,
    JobDetail,
    JobSummary,
    Overview,
    RegisteredTaskManager,
    first_line,
)

_POLL_S = 0.1
_KINDS: Mapping[int, type[RestError]] = {httpx.codes.NOT_FOUND: NotFoundError}


class FlinkRest:
    """Calls of one cluster's REST interface.

    Attributes:
        url: the address, such as http://127.0.0.1:8081.
    """

    def __init__(self, url: str, *, timeout_s: float = 10.0, patience_s: float = 10.0) -> None:
        self.url = url.rstrip("/")
        self._patience_s = patience_s
        self._http = httpx.Client(base_url=self.url, timeout=timeout_s, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def overview(self) -> Overview:
        """How many TaskManagers, slots and jobs there are."""
        return Overview.read(self.get("/overview"))

    def task_managers(self) -> list[RegisteredTaskManager]:
        """The TaskManagers that are registered now."""
        return [RegisteredTaskManager.read(each) for each in self.get("/taskmanagers")["taskmanagers"]]

    def configuration(self) -> dict[str, str]:
        """The settings that the JobManager was started with."""
        return {each["key"]: each["value"] for each in self.get("/jobmanager/config")}

    def jobs(self) -> list[JobSummary]:
        """All jobs the cluster remembers, the newest first."""
        found = [JobSummary.read(each) for each in self.get("/jobs/overview")["jobs"]]
        return sorted(found, key=lambda job: job.start_ms, reverse=True)

    def job(self, job_id: str) -> JobDetail:
        """One job with its vertices.

        Raises:
            NotFoundError: if Flink does not know the job.
        """
        return JobDetail.read(self.get(f"/jobs/{job_id}"))

    def task_managers_of(self, job_id: str, vertex_id: str) -> list[str]:
        """For each subtask of a vertex the id of the TaskManager it runs on."""
        return [str(each["taskmanager-id"]) for each in self.get(f"/jobs/{job_id}/vertices/{vertex_id}")["subtasks"]]

    def checkpoints(self, job_id: str) -> CheckpointStats:
        """A job's checkpoints: counts, and the newest of each kind."""
        return CheckpointStats.read(self.get(f"/jobs/{job_id}/checkpoints"))

    def exceptions(self, job_id: str) -> list[Failure]:
        """Why a job's tasks failed, the newest first."""
        history = self.get(f"/jobs/{job_id}/exceptions").get("exceptionHistory") or {}
        return [Failure.read(each) for each in history.get("entries", [])]

    def job_metrics(self, job_id: str, *names: str) -> dict[str, str]:
        """Metrics of a job by name; those that Flink does not have yet are left out."""
        return self._metrics(f"/jobs/{job_id}/metrics", names)

    def vertex_metrics(self, job_id: str, vertex_id: str, *names: str) -> dict[str, str]:
        """Metrics of a vertex, named `SUBTASK.operator.metric`; without names, all that Flink has."""
        path = f"/jobs/{job_id}/vertices/{vertex_id}/metrics"
        wanted = names or tuple(each["id"] for each in self.get(path))
        return self._metrics(path, wanted)

    def cancel(self, job_id: str) -> None:
        """Asks Flink to cancel a job; its retained checkpoints stay."""
        self.call("PATCH", f"/jobs/{job_id}", params={"mode": "cancel"})

    def wait_for_job(
        self, job_id: str, wanted: Callable[[JobDetail], bool], *, timeout_s: float, what: str = "the job"
    ) -> JobDetail:
        """Polls a job until it is as wanted.

        Raises:
            TimedOutError: if it is not in time; the text holds the job's state and last failure.
        """
        deadline = time.monotonic() + timeout_s
        while not wanted(job := self.job(job_id)):
            if time.monotonic() > deadline:
                failures = self.exceptions(job_id)
                told = f"; last failure: {failures[0].root_cause}" if failures else ""
                msg = f"{what} was not reached in {timeout_s:g} s: job {job_id} is {job.state}{told}"
                raise TimedOutError(msg)
            time.sleep(_POLL_S)
        return job

    def wait_until_running(self, job_id: str, *, timeout_s: float = 60.0) -> JobDetail:
        """Polls until all tasks of a job run."""
        return self.wait_for_job(job_id, lambda job: job.all_running, timeout_s=timeout_s, what="all tasks running")

    def stop_with_savepoint(
        self,
        job_id: str,
        *,
        directory: str | None = None,
        format_type: str = "CANONICAL",
        timeout_s: float = 60.0,
    ) -> str:
        """Stops a job with a savepoint and waits for it.

        Args:
            job_id: the job.
            directory: URI of the folder for the savepoint; None takes the cluster's.
            format_type: CANONICAL (any later rescale or backend) or NATIVE.
            timeout_s: how long to wait.

        Returns:
            The savepoint's URI.

        Raises:
            RefusedError: if the savepoint failed; the job goes on.
            TimedOutError: if it took too long.
        """
        trigger = self.begin_stop(job_id, directory=directory, format_type=format_type)
        return self.savepoint_of(job_id, trigger, timeout_s=timeout_s)

    def begin_stop(self, job_id: str, *, directory: str | None = None, format_type: str = "CANONICAL") -> str:
        """Asks Flink to stop a job with a savepoint; returns the id under which it tells how that goes.

        Raises:
            RefusedError: Flink will not; the job goes on.
        """
        body = {"drain": False, "formatType": format_type}
        if directory is not None:
            body["targetDirectory"] = directory
        return str(self.call("POST", f"/jobs/{job_id}/stop", json=body)["request-id"])

    def savepoint_of(self, job_id: str, trigger: str, *, timeout_s: float = 60.0) -> str:
        """Waits for the savepoint that a stop began; returns its URI. Asking again does no harm.

        Raises:
            RefusedError: if the savepoint failed; the job goes on.
            TimedOutError: if it took too long; it may still end.
        """
        return str(self._poll_operation(f"/jobs/{job_id}/savepoints/{trigger}", timeout_s)["location"])

    def begin_checkpoint(self, job_id: str) -> None:
        """Asks Flink for a checkpoint now, whatever the interval is."""
        self.call("POST", f"/jobs/{job_id}/checkpoints", json={"checkpointType": "CONFIGURED"})

    def retains_checkpoints(self, job_id: str) -> bool:
        """Whether a job's checkpoints stay when it is cancelled."""
        kept = self.get(f"/jobs/{job_id}/checkpoints/config")["externalization"]
        return bool(kept["enabled"] and not kept["delete_on_cancellation"])

    def get(self, path: str, **params: str) -> Any:
        """The JSON that a path answers with.

        In the moment in which tasks are cancelled Flink answers with an error of its own; then it is asked again.
        """
        deadline = time.monotonic() + self._patience_s
        while True:
            try:
                return self.call("GET", path, params=params or None)
            except FaultError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(_POLL_S)

    def call(self, method: str, path: str, **request: Any) -> Any:
        """One request.

        Raises:
            UnreachableError: if nobody answers in time.
            NotFoundError: if Flink does not know what the path names.
            RefusedError: if Flink says no; FaultError if it is at fault itself.
        """
        try:
            answer = self._http.request(method, path, **request)
        except httpx.TransportError as error:
            msg = f"no answer from {self.url}{path} ({error}): is the cluster up? See recloop cluster status"
            raise UnreachableError(msg) from error
        if answer.is_error:
            kind = _KINDS.get(answer.status_code, FaultError if answer.is_server_error else RefusedError)
            msg = f"Flink refused {method} {path} ({answer.status_code}): {_reason(answer)}"
            raise kind(msg)
        return answer.json() if answer.content else {}

    def _metrics(self, path: str, names: tuple[str, ...]) -> dict[str, str]:
        wanted = ",".join(quote(name, safe="") for name in names)
        return {each["id"]: each["value"] for each in self.get(f"{path}?get={wanted}") if "value" in each}

    def _poll_operation(self, path: str, timeout_s: float) -> dict[str, Any]:
        deadline = time.monotonic() + timeout_s
        while (told := self.get(path))["status"]["id"] != "COMPLETED":
            if time.monotonic() > deadline:
                msg = f"{path} was not done in {timeout_s:g} s; it may still end: look at the job's checkpoints"
                raise TimedOutError(msg)
            time.sleep(_POLL_S)
        done: dict[str, Any] = told["operation"]
        if cause := done.get("failure-cause"):
            msg = f"the savepoint failed: {first_line(cause['stack-trace'])}"
            raise RefusedError(msg)
        return done


def _reason(answer: httpx.Response) -> str:
    try:
        errors = answer.json().get("errors", [])
    except ValueError:
        return answer.text[:200]
    return first_line(next((each for each in reversed(errors) if each.strip()), "no reason given"))
