"""What Flink's REST interface tells, as typed records; times are epoch milliseconds, as Flink writes them."""

from dataclasses import dataclass
from typing import Any, Self

from job.cluster.causes import cause

Json = dict[str, Any]


@dataclass(frozen=True)
class Overview:
    """A cluster in numbers."""

    flink_version: str
    task_managers: int
    slots_total: int
    slots_available: int
    jobs_running: int

    @classmethod
    def read(cls, told: Json) -> Self:
        """From the answer of /overview."""
        return cls(
            flink_version=told["flink-version"],
            task_managers=told["taskmanagers"],
            slots_total=told["slots-total"],
            slots_available=told["slots-available"],
            jobs_running=told["jobs-running"],
        )


@dataclass(frozen=True)
class Resources:
    """What a TaskManager has to divide among its slots; `external` counts external resources by name."""

    cpu_cores: float
    task_heap_mb: int
    task_off_heap_mb: int
    managed_mb: int
    external: dict[str, float]

    @classmethod
    def read(cls, told: Json) -> Self:
        """From the totalResource of an entry of /taskmanagers."""
        return cls(
            cpu_cores=told["cpuCores"],
            task_heap_mb=told["taskHeapMemory"],
            task_off_heap_mb=told["taskOffHeapMemory"],
            managed_mb=told["managedMemory"],
            external=told["extendedResources"],
        )


@dataclass(frozen=True)
class RegisteredTaskManager:
    """A TaskManager that the JobManager knows; its address is Pekko's, with host and port."""

    resource_id: str
    slots: int
    free_slots: int
    last_heartbeat_ms: int
    resources: Resources
    address: str = ""

    @classmethod
    def read(cls, told: Json) -> Self:
        """From an entry of /taskmanagers."""
        return cls(
            resource_id=told["id"],
            slots=told["slotsNumber"],
            free_slots=told["freeSlots"],
            last_heartbeat_ms=told["timeSinceLastHeartbeat"],
            resources=Resources.read(told["totalResource"]),
            address=str(told.get("path", "")),
        )


@dataclass(frozen=True)
class JobSummary:
    """A job in one line."""

    job_id: str
    name: str
    state: str
    start_ms: int
    duration_ms: int

    @classmethod
    def read(cls, told: Json) -> Self:
        """From an entry of /jobs/overview."""
        return cls(told["jid"], told["name"], told["state"], told["start-time"], told["duration"])


@dataclass(frozen=True)
class Vertex:
    """A chain of operators; `tasks` counts its subtasks by state."""

    vertex_id: str
    name: str
    parallelism: int
    max_parallelism: int
    state: str
    tasks: dict[str, int]

    @classmethod
    def read(cls, told: Json) -> Self:
        """From a vertex of /jobs/ID."""
        return cls(
            vertex_id=told["id"],
            name=told["name"],
            parallelism=told["parallelism"],
            max_parallelism=told["maxParallelism"],
            state=told["status"],
            tasks={state: count for state, count in told["tasks"].items() if count},
        )


@dataclass(frozen=True)
class JobDetail:
    """A job with its vertices."""

    job_id: str
    name: str
    state: str
    start_ms: int
    duration_ms: int
    vertices: tuple[Vertex, ...]

    @classmethod
    def read(cls, told: Json) -> Self:
        """From the answer of /jobs/ID."""
        return cls(
            job_id=told["jid"],
            name=told["name"],
            state=told["state"],
            start_ms=told["start-time"],
            duration_ms=told["duration"],
            vertices=tuple(Vertex.read(each) for each in told["vertices"]),
        )

    @property
    def is_over(self) -> bool:
        """Whether the job has ended for good."""
        return self.state in {"FINISHED", "CANCELED", "FAILED"}

    @property
    def all_running(self) -> bool:
        """Whether the job and every one of its subtasks run."""
        return self.state == "RUNNING" and all(
            vertex.tasks.get("RUNNING", 0) == vertex.parallelism for vertex in self.vertices
        )


@dataclass(frozen=True)
class Checkpoint:
    """One checkpoint; `path` is None until it is complete."""

    checkpoint_id: int
    status: str
    is_savepoint: bool
    trigger_ms: int
    duration_ms: int
    size_bytes: int
    path: str | None
    failure: str | None
    is_discarded: bool

    @classmethod
    def read(cls, told: Json) -> Self:
        """From an entry of /jobs/ID/checkpoints."""
        return cls(
            checkpoint_id=told["id"],
            status=told["status"],
            is_savepoint=told["is_savepoint"],
            trigger_ms=told["trigger_timestamp"],
            duration_ms=told["end_to_end_duration"],
            size_bytes=told["state_size"],
            path=told.get("external_path"),
            failure=told.get("failure_message"),
            is_discarded=bool(told.get("discarded")),
        )

    @property
    def completed_ms(self) -> int:
        """When it was complete."""
        return self.trigger_ms + self.duration_ms


@dataclass(frozen=True)
class CheckpointStats:
    """A job's checkpoints since it started; `history` is newest first."""

    completed: int
    failed: int
    in_progress: int
    restored: int
    restored_from: str | None
    latest: Checkpoint | None
    savepoint: Checkpoint | None
    history: tuple[Checkpoint, ...]

    @classmethod
    def read(cls, told: Json) -> Self:
        """From the answer of /jobs/ID/checkpoints."""
        counts, latest = told["counts"], told["latest"]
        completed, savepoint = latest.get("completed"), latest.get("savepoint")
        return cls(
            completed=counts["completed"],
            failed=counts["failed"],
            in_progress=counts["in_progress"],
            restored=counts["restored"],
            restored_from=(latest.get("restored") or {}).get("external_path"),
            latest=Checkpoint.read(completed) if completed else None,
            savepoint=Checkpoint.read(savepoint) if savepoint else None,
            history=tuple(Checkpoint.read(each) for each in told["history"]),
        )

    @property
    def kept(self) -> tuple[Checkpoint, ...]:
        """Checkpoints and savepoints that are complete and that Flink has not deleted."""
        every = (*self.history, *filter(None, (self.latest, self.savepoint)))
        return tuple(each for each in every if each.path and each.status == "COMPLETED" and not each.is_discarded)


@dataclass(frozen=True)
class Failure:
    """Why a task, or the whole job, failed."""

    exception: str
    stack_trace: str
    time_ms: int
    task: str | None
    task_manager: str | None

    @classmethod
    def read(cls, told: Json) -> Self:
        """From an entry of /jobs/ID/exceptions."""
        return cls(
            exception=told["exceptionName"],
            stack_trace=told["stacktrace"],
            time_ms=told["timestamp"],
            task=told.get("taskName"),
            task_manager=told.get("taskManagerId"),
        )

    @property
    def root_cause(self) -> str:
        """Python's own error where there is one, else the innermost cause that the stack trace names; one line."""
        return cause(self.stack_trace)


def first_line(text: str) -> str:
    """The first line of a text, without blanks around it."""
    return (text.strip().splitlines() or [""])[0].strip()
