"""A client of Flink's REST interface, which reads the state of a cluster and its jobs, and ends jobs.

Calls are synchronous and end within a timeout, and every poll has one too. Answers are typed records with the fields
that are read of them. The server may be no Flink at all, but a proxy before it or another service.
"""

from collections.abc import Callable, Mapping
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from job.cluster.address import rest_address
from job.cluster.answers import certificates, hint, not_flink, payload_of
from job.cluster.errors import (
    FaultError,
    NotFoundError,
    RefusedError,
    RestError,
    TimedOutError,
    UnreachableError,
)
from job.cluster.records import (
    CheckpointConfig,
    CheckpointStats,
    Environment,
    Failure,
    FailureCause,
    Failures,
    JobDetail,
    Jobs,
    JobSummary,
    Json,
    Metric,
    Overview,
    RegisteredTaskManager,
    Savepointing,
    Setting,
    Subtasks,
    TaskManagers,
    Triggered,
    first_line,
)
from model.waiting import polls, retry

_POLL_S = 0.1
_Record = TypeVar("_Record")
_KINDS: Mapping[int, type[RestError]] = {httpx.codes.NOT_FOUND: NotFoundError}


class FlinkRest:
    """Calls of one cluster's REST interface.

    Attributes:
        url: the address, such as http://127.0.0.1:8081 or https://host:443/prefix.

    Raises:
        SettingRefusedError: the text is not an address.
    """

    def __init__(self, url: str, *, timeout_s: float = 10.0, patience_s: float = 10.0) -> None:
        self.url = rest_address(url)
        self._patience_s = patience_s
        verify = certificates() if self.url.startswith("https:") else False  # http needs none, and loading them is slow
        self._http = httpx.Client(base_url=self.url, timeout=timeout_s, trust_env=False, verify=verify)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def overview(self) -> Overview:
        """Return the numbers of TaskManagers, slots and jobs."""
        return self._read("/overview", Overview)

    def task_managers(self) -> list[RegisteredTaskManager]:
        """Return the TaskManagers that are registered now."""
        return list(self._read("/taskmanagers", TaskManagers).all)

    def configuration(self) -> dict[str, str]:
        """Return the settings that the JobManager was started with."""
        return {each.key: each.value for each in self._read("/jobmanager/config", tuple[Setting, ...])}

    def class_path(self) -> list[str]:
        """Return the jars that the JobManager was started with."""
        return list(self._read("/jobmanager/environment", Environment).jars)

    def log_head(self, resource_id: str, *, size: int = 2**18) -> str:
        """Return the beginning of a TaskManager's log, which names what it was started with; empty if it has none."""
        try:
            with self._http.stream("GET", f"/taskmanagers/{quote(resource_id, safe='')}/log") as answer:
                if answer.is_error:
                    return ""
                head = b""
                for part in answer.iter_bytes():
                    head += part
                    if len(head) >= size:
                        break
                return head.decode(errors="replace")
        except httpx.HTTPError:
            return ""

    def jobs(self) -> list[JobSummary]:
        """Return all jobs that the cluster remembers, the newest first."""
        return sorted(self._read("/jobs/overview", Jobs).all, key=lambda job: job.start_ms, reverse=True)

    def job(self, job_id: str) -> JobDetail:
        """Return one job with its vertices.

        Raises:
            NotFoundError: if Flink does not know the job.
        """
        return self._read(f"/jobs/{job_id}", JobDetail)

    def task_managers_of(self, job_id: str, vertex_id: str) -> list[str]:
        """Return for each subtask of a vertex the id of the TaskManager it runs on."""
        subtasks = self._read(f"/jobs/{job_id}/vertices/{vertex_id}", Subtasks)
        return [each.task_manager for each in subtasks.all]

    def checkpoints(self, job_id: str) -> CheckpointStats:
        """Return a job's checkpoints: counts, history, and the newest of each kind."""
        return self._read(f"/jobs/{job_id}/checkpoints", CheckpointStats)

    def exceptions(self, job_id: str) -> list[Failure]:
        """Return the failures of a job, the newest first."""
        history = self._read(f"/jobs/{job_id}/exceptions", Failures).history
        return list(history.entries) if history else []

    def job_metrics(self, job_id: str, *names: str) -> dict[str, str]:
        """Return metrics of a job by name; those that Flink does not have yet are left out."""
        return self._metrics(f"/jobs/{job_id}/metrics", names)

    def vertex_metrics(self, job_id: str, vertex_id: str, *names: str) -> dict[str, str]:
        """Return metrics of a vertex, named `SUBTASK.operator.metric`; without names, all that Flink has."""
        wanted = names or tuple(self.vertex_metric_names(job_id, vertex_id))
        return self._metrics(_metrics_path(job_id, vertex_id), wanted)

    def vertex_counts(self, job_id: str, vertex_id: str, *names: str) -> dict[str, int]:
        """Return whole-number metrics of a vertex by name; those that Flink does not have yet are left out."""
        path = _metrics_path(job_id, vertex_id)
        found = self._metrics(path, names)
        return self._as_flinks(path, found, dict[str, int], strict=False)

    def vertex_metric_names(self, job_id: str, vertex_id: str) -> list[str]:
        """Return the names of a vertex's metrics."""
        return [each.name for each in self._read(_metrics_path(job_id, vertex_id), tuple[Metric, ...])]

    def cancel(self, job_id: str) -> None:
        """Ask Flink to cancel a job; its retained checkpoints stay."""
        path = f"/jobs/{job_id}"
        self._as_flinks(path, self.call("PATCH", path, params={"mode": "cancel"}), Json)

    def wait_for_job(
        self, job_id: str, wanted: Callable[[JobDetail], bool], *, timeout_s: float, what: str = "the job"
    ) -> JobDetail:
        """Poll a job until it is as wanted.

        Raises:
            TimedOutError: if it is not in time; the text holds the job's state and last failure.
        """
        for _ in polls(timeout_s=timeout_s, poll_s=_POLL_S):
            if wanted(job := self.job(job_id)):
                return job
        failures = self.exceptions(job_id)
        told = f"; last failure: {failures[0].root_cause}" if failures else ""
        msg = f"{what} was not reached in {timeout_s:g} s: job {job_id} is {job.state}{told}"
        raise TimedOutError(msg)

    def wait_until_running(self, job_id: str, *, timeout_s: float = 60.0) -> JobDetail:
        """Poll until all tasks of a job run."""
        return self.wait_for_job(job_id, lambda job: job.all_running, timeout_s=timeout_s, what="all tasks running")

    def stop_with_savepoint(
        self,
        job_id: str,
        *,
        directory: str | None = None,
        format_type: str = "CANONICAL",
        timeout_s: float = 60.0,
    ) -> str:
        """Stop a job with a savepoint and wait for it.

        Args:
            job_id: the job.
            directory: URI of the folder for the savepoint; None takes the cluster's.
            format_type: CANONICAL (fit for any later parallelism or state backend) or NATIVE.
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
        """Ask Flink to stop a job with a savepoint, and return the id under which it reports progress.

        Raises:
            RefusedError: Flink will not; the job goes on.
        """
        body = {"drain": False, "formatType": format_type}
        if directory is not None:
            body["targetDirectory"] = directory
        path = f"/jobs/{job_id}/stop"
        return self._as_flinks(path, self.call("POST", path, json=body), Triggered).trigger

    def savepoint_of(self, job_id: str, trigger: str, *, timeout_s: float = 60.0) -> str:
        """Wait for the savepoint that a stop began, and return its URI; a repeated call does no harm.

        Raises:
            RefusedError: if the savepoint failed; the job goes on.
            TimedOutError: if it took too long; it may still end.
        """
        path = f"/jobs/{job_id}/savepoints/{trigger}"
        for _ in polls(timeout_s=timeout_s, poll_s=_POLL_S):
            if (savepoint := self._read(path, Savepointing).done) is not None:
                break
        else:
            msg = f"{path} was not done in {timeout_s:g} s; it may still end: look at the job's checkpoints"
            raise TimedOutError(msg)
        if isinstance(savepoint, FailureCause):
            msg = f"the savepoint failed: {first_line(savepoint.stack_trace)}"
            raise RefusedError(msg)
        return savepoint

    def begin_checkpoint(self, job_id: str) -> None:
        """Ask Flink for a checkpoint now, whatever the interval is."""
        path = f"/jobs/{job_id}/checkpoints"
        self._as_flinks(path, self.call("POST", path, json={"checkpointType": "CONFIGURED"}), Json)

    def retains_checkpoints(self, job_id: str) -> bool:
        """Return whether a job's checkpoints stay when it is cancelled."""
        kept = self._read(f"/jobs/{job_id}/checkpoints/config", CheckpointConfig).externalization
        return kept.enabled and not kept.delete_on_cancellation

    def get(self, path: str, **params: str) -> Any:
        """Return the JSON that a path answers with.

        At the moment when tasks are cancelled Flink answers with an error of its own; the request is then repeated.
        """
        ask = partial(self.call, "GET", path, params=params or None)
        return retry(ask, FaultError, timeout_s=self._patience_s, poll_s=_POLL_S)

    def call(self, method: str, path: str, **request: Any) -> Any:
        """Send one request and return the JSON of its answer.

        Raises:
            UnreachableError: if nobody answers in time.
            NotFlinkError: if something else than Flink answers.
            NotFoundError: if Flink does not know what the path names.
            RefusedError: if Flink refuses; FaultError if Flink itself is at fault.
        """
        try:
            answer = self._http.request(method, path, **request)
        except httpx.DecodingError as error:
            raise not_flink(self.url, path, f"an answer that cannot be read ({error})") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            msg = f"no answer from {self.url}{path} ({error or type(error).__name__}): {hint(self.url, str(error))}"
            raise UnreachableError(msg) from error
        payload = payload_of(self.url, path, answer)
        if answer.is_error:
            kind = _KINDS.get(answer.status_code, FaultError if answer.is_server_error else RefusedError)
            msg = f"Flink refused {method} {path} ({answer.status_code}): {_reason(payload)}"
            raise kind(msg)
        return payload

    def _read(self, path: str, kind: type[_Record]) -> _Record:
        return self._as_flinks(path, self.get(path), kind)

    def _as_flinks(self, path: str, answer: Any, kind: type[_Record], *, strict: bool = True) -> _Record:
        """Return an answer as a record, or raise if it lacks a field or has one of another type.

        Another service's JSON does. Unless strict, digits in a string are taken for a number.
        """
        try:
            return msgspec.convert(answer, kind, strict=strict)
        except msgspec.ValidationError as error:
            raise not_flink(self.url, path, f"JSON without what Flink says there ({error})") from error

    def _metrics(self, path: str, names: tuple[str, ...]) -> dict[str, str]:
        wanted = ",".join(quote(name, safe="") for name in names)
        found = self._read(f"{path}?get={wanted}", tuple[Metric, ...])
        return {each.name: each.value for each in found if each.value is not None}


def _metrics_path(job_id: str, vertex_id: str) -> str:
    return f"/jobs/{job_id}/vertices/{vertex_id}/metrics"


def _reason(payload: dict[str, Any]) -> str:
    told = (str(each) for each in reversed(payload["errors"]))
    return first_line(next((each for each in told if each.strip()), "no reason given"))
