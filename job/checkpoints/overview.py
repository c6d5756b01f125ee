"""An overview of a checkpoint: its operators, the states of each, the number of users, and the log's offsets."""

from dataclasses import dataclass

from job.checkpoints.checkpoint import Checkpoint
from job.checkpoints.contents import Operator
from job.checkpoints.state_rows import PositionRow, position_row


@dataclass(frozen=True, slots=True)
class StateSize:
    """A keyed state: its entries, and the bytes of their keys and values, uncompressed."""

    name: str
    entries: int
    bytes: int


@dataclass(frozen=True, slots=True)
class OperatorSize:
    """An operator, its keyed states, and the size of all of its state as it is stored."""

    uid: str
    parallelism: int
    states: list[StateSize]
    stored_bytes: int


@dataclass(frozen=True, slots=True)
class Overview:
    """The overview of a checkpoint.

    Attributes:
        number: Flink's count.
        operators: all operators, the largest first.
        users: the number of users with a profile.
        lists: the number of users with a list.
        positions: the position of each partition of the log.
    """

    number: int
    operators: list[OperatorSize]
    users: int
    lists: int
    positions: list[PositionRow]


def read_overview(checkpoint: Checkpoint) -> Overview:
    """Read all entries once, and count them.

    Raises:
        CheckpointError: a file is gone or damaged, or the checkpoint is of another job.
    """
    operators = [
        OperatorSize(each.uid, each.parallelism, state_sizes(checkpoint, each), each.size_bytes)
        for each in checkpoint.contents.operators
    ]
    counts = {state.name: state.entries for each in operators for state in each.states}
    return Overview(
        number=checkpoint.contents.checkpoint_id,
        operators=sorted(operators, key=lambda each: (-each.stored_bytes, each.uid)),
        users=counts.get("user_profile", 0),
        lists=counts.get("recommendation_list", 0),
        positions=[position_row(each) for each in checkpoint.positions()],
    )


def state_sizes(checkpoint: Checkpoint, operator: Operator) -> list[StateSize]:
    """Return the size of each keyed state of an operator; timers are not counted.

    Raises:
        CheckpointError: a file is gone or damaged.
    """
    counted: dict[str, tuple[int, int]] = {}
    for entry in checkpoint.entries_of(operator):
        entries, size = counted.get(entry.state, (0, 0))
        counted[entry.state] = entries + 1, size + len(entry.key) + len(entry.value)
    return [StateSize(name, *sums) for name, sums in sorted(counted.items())]
