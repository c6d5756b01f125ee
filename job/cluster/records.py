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


def first_line(text: str) -> str:
    """Return the first line of a text, without blanks around it."""
    return (text.strip().splitlines() or [""])[0].strip()
