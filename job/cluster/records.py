"""The answers of Flink's REST interface as typed records; times are epoch milliseconds, as Flink writes them."""

from typing import Any

from msgspec import Struct, field

from job.cluster.causes import cause

Json = dict[str, Any]


class Overview(Struct, frozen=True):
    """A cluster in numbers: /overview."""

    flink_version: str = field(name="flink-version")
    task_managers: int = field(name="taskmanagers")
    slots_total: int = field(name="slots-total")
    slots_available: int = field(name="slots-available")
    jobs_running: int = field(name="jobs-running")


class Resources(Struct, frozen=True):
    """The resources that a TaskManager divides among its slots; `external` counts external resources by name."""

    cpu_cores: float = field(name="cpuCores")
    task_heap_mb: int = field(name="taskHeapMemory")
    task_off_heap_mb: int = field(name="taskOffHeapMemory")
    managed_mb: int = field(name="managedMemory")
    external: dict[str, float] = field(name="extendedResources")


class RegisteredTaskManager(Struct, frozen=True):
    """A TaskManager that the JobManager knows; its address is Pekko's, with host and port."""

    resource_id: str = field(name="id")
    slots: int = field(name="slotsNumber")
    free_slots: int = field(name="freeSlots")
    last_heartbeat_ms: int = field(name="timeSinceLastHeartbeat")
    resources: Resources = field(name="totalResource")
    address: str = field(name="path", default="")


class TaskManagers(Struct, frozen=True):
    """The registered TaskManagers: /taskmanagers."""

    all: tuple[RegisteredTaskManager, ...] = field(name="taskmanagers")


class Setting(Struct, frozen=True):
    """An entry of /jobmanager/config."""

    key: str
    value: str


class Environment(Struct, frozen=True):
    """The class path that the JobManager was started with: /jobmanager/environment."""

    jars: tuple[str, ...] = field(name="classpath")


class JobSummary(Struct, frozen=True):
    """A job in one line."""

    job_id: str = field(name="jid")
    name: str
    state: str
    start_ms: int = field(name="start-time")
    duration_ms: int = field(name="duration")


class Jobs(Struct, frozen=True):
    """The jobs that the cluster remembers: /jobs/overview."""

    all: tuple[JobSummary, ...] = field(name="jobs")


class Vertex(Struct, frozen=True):
    """A chain of operators; `counts` has its subtasks by state, zeros included."""

    vertex_id: str = field(name="id")
    name: str
    parallelism: int
    max_parallelism: int = field(name="maxParallelism")
    state: str = field(name="status")
    counts: dict[str, int] = field(name="tasks")

    @property
    def tasks(self) -> dict[str, int]:
        """The number of subtasks in each state that has any."""
        return {state: count for state, count in self.counts.items() if count}


class JobDetail(Struct, frozen=True):
    """A job with its vertices: /jobs/ID."""

    job_id: str = field(name="jid")
    name: str
    state: str
    start_ms: int = field(name="start-time")
    duration_ms: int = field(name="duration")
    vertices: tuple[Vertex, ...]

    @property
    def is_over(self) -> bool:
        """True if the job has ended for good."""
        return self.state in {"FINISHED", "CANCELED", "FAILED"}

    @property
    def all_running(self) -> bool:
        """True if the job and every one of its subtasks run."""
        return self.state == "RUNNING" and all(
            vertex.tasks.get("RUNNING", 0) == vertex.parallelism for vertex in self.vertices
        )


class Subtask(Struct, frozen=True):
    """A subtask of a vertex."""

    task_manager: str = field(name="taskmanager-id")


class Subtasks(Struct, frozen=True):
    """The subtasks of a vertex: /jobs/ID/vertices/ID."""

    all: tuple[Subtask, ...] = field(name="subtasks")


class Metric(Struct, frozen=True):
    """A metric; its value is there only if it was requested by name and Flink has one."""

    name: str = field(name="id")
    value: str | None = None


class Checkpoint(Struct, frozen=True):
    """A checkpoint; `path` is None until it is complete, `acknowledged_ms` until a task has done its part."""

    checkpoint_id: int = field(name="id")
    status: str
    is_savepoint: bool
    trigger_ms: int = field(name="trigger_timestamp")
    duration_ms: int = field(name="end_to_end_duration")
    size_bytes: int = field(name="state_size")
    path: str | None = field(name="external_path", default=None)
    failure: str | None = field(name="failure_message", default=None)
    is_discarded: bool = field(name="discarded", default=False)
    acknowledged_ms: int | None = field(name="latest_ack_timestamp", default=None)

    @property
    def completed_ms(self) -> int:
        """The time at which it was complete."""
        return self.trigger_ms + self.duration_ms


class Restored(Struct, frozen=True):
    """The checkpoint that a job was restored from last, and when."""

    checkpoint_id: int = field(name="id")
    at_ms: int = field(name="restore_timestamp", default=0)
    path: str | None = field(name="external_path", default=None)


class CheckpointCounts(Struct, frozen=True):
    """The numbers of checkpoints and restores."""

    completed: int
    failed: int
    in_progress: int
    restored: int


class LatestCheckpoints(Struct, frozen=True):
    """The newest checkpoint of each kind."""

    completed: Checkpoint | None = None
    savepoint: Checkpoint | None = None
    restored: Restored | None = None


class CheckpointStats(Struct, frozen=True):
    """A job's checkpoints since it started, /jobs/ID/checkpoints; `history` is newest first."""

    counts: CheckpointCounts
    newest: LatestCheckpoints = field(name="latest")
    history: tuple[Checkpoint, ...]

    @property
    def completed(self) -> int:
        """The number of complete checkpoints."""
        return self.counts.completed

    @property
    def failed(self) -> int:
        """The number of failed checkpoints."""
        return self.counts.failed

    @property
    def restored(self) -> int:
        """The number of times that the job was restored."""
        return self.counts.restored

    @property
    def restored_from(self) -> str | None:
        """The URI of the checkpoint or savepoint that the job was last restored from."""
        return self.newest.restored.path if self.newest.restored else None

    @property
    def latest(self) -> Checkpoint | None:
        """The newest complete checkpoint."""
        return self.newest.completed

    @property
    def savepoint(self) -> Checkpoint | None:
        """The newest complete savepoint."""
        return self.newest.savepoint

    @property
    def is_own(self) -> bool:
        """True if the newest complete checkpoint is of the present attempt, so newer than the restored one."""
        restored, latest = self.newest.restored, self.newest.completed
        return latest is not None and (restored is None or latest.checkpoint_id > restored.checkpoint_id)

    @property
    def kept(self) -> tuple[Checkpoint, ...]:
        """Checkpoints and savepoints that are complete and that Flink has not deleted."""
        every = (*self.history, *filter(None, (self.latest, self.savepoint)))
        return tuple(each for each in every if each.path and each.status == "COMPLETED" and not each.is_discarded)


class Externalization(Struct, frozen=True):
    """The fate of checkpoints when their job ends."""

    enabled: bool
    delete_on_cancellation: bool


class CheckpointConfig(Struct, frozen=True):
    """The checkpointing settings of a job: /jobs/ID/checkpoints/config."""

    externalization: Externalization


class Failure(Struct, frozen=True):
    """The failure of a task, or of the whole job."""

    exception: str = field(name="exceptionName")
    stack_trace: str = field(name="stacktrace")
    time_ms: int = field(name="timestamp")
    task: str | None = field(name="taskName", default=None)
    task_manager: str | None = field(name="taskManagerId", default=None)

    @property
    def root_cause(self) -> str:
        """Python's own error if there is one, else the innermost cause that the stack trace names; one line."""
        return cause(self.stack_trace)


class FailureHistory(Struct, frozen=True):
    """Failures, the newest first."""

    entries: tuple[Failure, ...] = ()


class Failures(Struct, frozen=True):
    """The failures of a job: /jobs/ID/exceptions."""

    history: FailureHistory | None = field(name="exceptionHistory", default=None)


class Triggered(Struct, frozen=True):
    """An operation begun in the background, with the id under which Flink reports its progress."""

    trigger: str = field(name="request-id")


class FailureCause(Struct, frozen=True):
    """The reason why an operation failed."""

    stack_trace: str = field(name="stack-trace")


class Operation(Struct, frozen=True):
    """The outcome of a savepoint: its location, or the reason why there is none."""

    location: str | None = None
    failure: FailureCause | None = field(name="failure-cause", default=None)


class OperationStatus(Struct, frozen=True):
    """The status of a savepoint: IN_PROGRESS or COMPLETED."""

    id: str


class Savepointing(Struct, frozen=True):
    """The progress of a savepoint: /jobs/ID/savepoints/ID."""

    status: OperationStatus
    operation: Operation | None = None

    def __post_init__(self) -> None:
        """Refuse a completed savepoint that names no outcome."""
        if self.status.id == "COMPLETED" and self.done is None:
            msg = "it is COMPLETED, and names neither location nor failure-cause"
            raise ValueError(msg)

    @property
    def done(self) -> str | FailureCause | None:
        """The savepoint's URI, or the reason why there is none; None while it goes on."""
        if self.status.id != "COMPLETED" or self.operation is None:
            return None
        return self.operation.failure or self.operation.location


def first_line(text: str) -> str:
    """Return the first line of a text, without blanks around it."""
    return (text.strip().splitlines() or [""])[0].strip()
