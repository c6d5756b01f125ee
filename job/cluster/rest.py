"""A client of Flink's REST interface, which reads the state of a cluster and its jobs, and ends jobs.

Calls are synchronous and end within a timeout, and every poll has one too. Answers are typed records with the fields
that are read of them.
"""

from collections.abc import Callable, Iterable, Iterator
from urllib.parse import quote

import httpx

from job.cluster.checkpoint_records import (
    CheckpointConfig,
    CheckpointStats,
    Disposing,
    FailureCause,
    Savepointing,
    Triggered,
    VertexCheckpoint,
    VertexPhases,
)
from job.cluster.errors import RefusedError, TimedOutError
from job.cluster.http_requests import FlinkHttp
from job.cluster.records import (
    Environment,
    Failure,
    Failures,
    JobDetail,
    Jobs,
    JobSummary,
    Json,
    Metric,
    Overview,
    RegisteredTaskManager,
    Setting,
    Subtasks,
    TaskManagers,
    first_line,
)
from model.waiting import polls

_POLL_S = 0.1
_LONGEST_LIST = 3_000
"""Characters of the names that one request asks for: Flink refuses a request whose first line has over 4,096."""


class FlinkRest(FlinkHttp):
    """Calls of one cluster's REST interface.

    Attributes:
        url: the address, such as http://127.0.0.1:8081 or https://host:443/prefix.

    Raises:
        SettingRefusedError: the text is not an address.
    """

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

    def checkpoint_phases(self, job_id: str, checkpoint_id: int, vertex_id: str) -> VertexPhases:
        """Return the phases of a completed checkpoint in one vertex, each of the slowest subtask.

        Raises:
            NotFoundError: if Flink has forgotten the checkpoint.
        """
        path = f"/jobs/{job_id}/checkpoints/details/{checkpoint_id}/subtasks/{vertex_id}"
        return self._read(path, VertexCheckpoint).summary

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
        self, job_id: str, wanted: Callable[[JobDetail], bool], *, timeout_s: float, goal: str = "the job"
    ) -> JobDetail:
        """Poll a job until it is as wanted.

        Raises:
            TimedOutError: if it is not in time; the text holds the job's state and last failure.
        """
        for _ in polls(timeout_s=timeout_s, poll_s=_POLL_S):
            if wanted(job := self.job(job_id)):
                return job
        failures = self.exceptions(job_id)
        last_failure = f"; last failure: {failures[0].root_cause}" if failures else ""
        msg = f"{goal} was not reached in {timeout_s:g} s: job {job_id} is {job.state}{last_failure}"
        raise TimedOutError(msg)

    def wait_until_running(self, job_id: str, *, timeout_s: float = 60.0) -> JobDetail:
        """Poll until all tasks of a job run."""
        return self.wait_for_job(job_id, lambda job: job.all_running, timeout_s=timeout_s, goal="all tasks running")

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
        """Wait for a savepoint that was begun, and return its URI; a repeated call does no harm.

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

    def begin_savepoint(self, job_id: str, *, directory: str | None = None, format_type: str = "CANONICAL") -> str:
        """Ask Flink for a savepoint of a job that runs on, and return the id that `savepoint_of` takes.

        Raises:
            RefusedError: Flink will not.
        """
        body = {"cancel-job": False, "formatType": format_type}
        if directory is not None:
            body["target-directory"] = directory
        path = f"/jobs/{job_id}/savepoints"
        return self._as_flinks(path, self.call("POST", path, json=body), Triggered).trigger

    def dispose_savepoint(self, uri: str, *, timeout_s: float = 60.0) -> None:
        """Have Flink remove a savepoint with all its files, wherever they are.

        Raises:
            RefusedError: Flink cannot.
            TimedOutError: it took too long; it may still end.
        """
        body = {"savepoint-path": uri}
        path = "/savepoint-disposal"
        trigger = self._as_flinks(path, self.call("POST", path, json=body), Triggered).trigger
        for _ in polls(timeout_s=timeout_s, poll_s=_POLL_S):
            if (disposing := self._read(f"{path}/{trigger}", Disposing)).is_done:
                break
        else:
            msg = f"{uri} was not removed in {timeout_s:g} s; it may still be: recloop savepoint list"
            raise TimedOutError(msg)
        if disposing.failure is not None:
            msg = f"Flink could not remove {uri}: {first_line(disposing.failure.stack_trace)}"
            raise RefusedError(msg)

    def begin_checkpoint(self, job_id: str) -> None:
        """Ask Flink for a checkpoint now, whatever the interval is."""
        path = f"/jobs/{job_id}/checkpoints"
        self._as_flinks(path, self.call("POST", path, json={"checkpointType": "CONFIGURED"}), Json)

    def retains_checkpoints(self, job_id: str) -> bool:
        """Return whether a job's checkpoints stay when it is cancelled."""
        kept = self._read(f"/jobs/{job_id}/checkpoints/config", CheckpointConfig).externalization
        return kept.enabled and not kept.delete_on_cancellation

    def _metrics(self, path: str, names: tuple[str, ...]) -> dict[str, str]:
        found = (
            metric
            for wanted in _in_requests(names)
            for metric in self._read(f"{path}?get={wanted}", tuple[Metric, ...])
        )
        return {each.name: each.value for each in found if each.value is not None}


def _in_requests(names: Iterable[str]) -> Iterator[str]:
    """Yield lists of names, each short enough for a request."""
    wanted = ""
    for name in names:
        quoted = quote(name, safe="")
        if wanted and len(wanted) + len(quoted) >= _LONGEST_LIST:
            yield wanted
            wanted = quoted
        else:
            wanted = f"{wanted},{quoted}" if wanted else quoted
    if wanted:
        yield wanted


def _metrics_path(job_id: str, vertex_id: str) -> str:
    return f"/jobs/{job_id}/vertices/{vertex_id}/metrics"
