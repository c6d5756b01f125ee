"""The operators of a checkpoint and the files of their keyed state, as Flink's metadata names them."""

from msgspec import Struct

from model.errors import RecloopError

INDEX = "index.json"
"""The file in which the reader of metadata leaves `Contents`."""


class CheckpointError(RecloopError):
    """A checkpoint or savepoint that cannot be read; the text says what to do."""


class RocksFiles(Struct, frozen=True, kw_only=True, tag="rocksdb"):
    """The keyed state of one subtask in an incremental checkpoint.

    Attributes:
        first_group: the first of the subtask's key groups.
        last_group: the last of them.
        files: the name that RocksDB gave each file -> its path.
    """

    first_group: int
    last_group: int
    files: dict[str, str]


class SnapshotFile(Struct, frozen=True, kw_only=True, tag="savepoint"):
    """The keyed state of one subtask in a savepoint.

    Attributes:
        path: the file of all key groups.
        states: the names of the states, in the order by which the file numbers them.
        offsets: key group -> the byte at which its entries begin; groups without entries are left out.
        compressed: whether the entries of each key group are compressed.
    """

    path: str
    states: tuple[str, ...]
    offsets: dict[int, int]
    compressed: bool


KeyedState = RocksFiles | SnapshotFile


class Operator(Struct, frozen=True, kw_only=True):
    """An operator of the checkpointed job.

    Attributes:
        uid: the id that the job gave it, or Flink's hash where it gave none.
        parallelism: the number of its subtasks.
        max_parallelism: the number of its key groups.
        keyed_bytes: the size of its keyed state, as stored.
        timer_bytes: the size of its timers, as stored.
        other_bytes: the size of all other state, such as files that wait to be committed.
        keyed: its keyed state, subtask by subtask.
    """

    uid: str
    parallelism: int
    max_parallelism: int
    keyed_bytes: int
    timer_bytes: int
    other_bytes: int
    keyed: tuple[KeyedState, ...]

    @property
    def size_bytes(self) -> int:
        """The size of all of its state."""
        return self.keyed_bytes + self.timer_bytes + self.other_bytes


class Contents(Struct, frozen=True, kw_only=True):
    """The metadata of a checkpoint: its number by Flink's count, and its operators."""

    checkpoint_id: int
    operators: tuple[Operator, ...]
