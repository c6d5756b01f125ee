"""The answers of Flink's REST interface about checkpoints and savepoints; times are epoch milliseconds."""

from msgspec import Struct, field


class Checkpoint(Struct, frozen=True):
    """A checkpoint; `path` is None until it is complete, `acknowledged_ms` until a task has done its part.

    `acknowledged` is the number of subtasks that have done it.
    """

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
    subtasks: int = field(name="num_subtasks", default=0)
    acknowledged: int = field(name="num_acknowledged_subtasks", default=0)

    @property
    def completed_ms(self) -> int:
        """The time at which it was complete."""
        return self.trigger_ms + self.duration_ms


class Largest(Struct, frozen=True):
    """The largest value over the subtasks of a vertex."""

    max: int


class Durations(Struct, frozen=True):
    """The durations of a vertex's snapshots, ms: `sync` while it stands still, `beside` its work."""

    sync: Largest
    beside: Largest = field(name="async")


class Alignment(Struct, frozen=True):
    """The wait of a vertex for the barriers of all its inputs, ms."""

    duration: Largest


class VertexPhases(Struct, frozen=True):
    """The phases of a checkpoint in a vertex; `delay` is the barrier's way to it, ms."""

    snapshot: Durations = field(name="checkpoint_duration")
    alignment: Alignment
    delay: Largest = field(name="start_delay")


class VertexCheckpoint(Struct, frozen=True):
    """A checkpoint as one vertex has taken it: /jobs/ID/checkpoints/details/ID/subtasks/ID."""

    summary: VertexPhases


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


class DisposalOutcome(Struct, frozen=True):
    """The outcome of a savepoint's removal: the reason why it failed, if it did."""

    failure: FailureCause | None = field(name="failure-cause", default=None)


class Disposing(Struct, frozen=True):
    """The progress of a savepoint's removal: /savepoint-disposal/ID."""

    status: OperationStatus
    operation: DisposalOutcome | None = None

    @property
    def is_done(self) -> bool:
        """True if the savepoint is removed, or cannot be."""
        return self.status.id == "COMPLETED"

    @property
    def failure(self) -> FailureCause | None:
        """The reason why it cannot be removed."""
        return self.operation.failure if self.operation else None
