"""The size of a user's state: all keyed state of both operators, uncompressed, read from a retained checkpoint.

The last behaviour of every user is scored, so that every list comes from the model; those before it need no model.
"""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from job.bench.live import scoring_job, wait_for_checkpoint, wait_for_lists
from job.bench.many_users import rounds
from job.bench.workload import Workload
from job.checkpoints.checkpoint import TRACK_USERS, UPDATE_LISTS, open_checkpoint
from job.checkpoints.overview import state_sizes


@dataclass(frozen=True, slots=True)
class Family:
    """A state of an operator (a column family): its entries, and the bytes of their keys and values."""

    operator: str
    name: str
    entries: int
    bytes: int


@dataclass(frozen=True, slots=True)
class StateSize:
    """The size of the state after the same number of behaviours of every user.

    Attributes:
        users: the number of users.
        behaviors: the number of behaviours of each.
        families: every state of both operators; timers are on the heap, and not included.
        checkpoint_bytes: the checkpoint's full size as Flink reports it: compressed, of all operators.
    """

    users: int
    behaviors: int
    families: tuple[Family, ...]
    checkpoint_bytes: int

    @property
    def bytes_per_user(self) -> float:
        """The bytes of a user's keys and values, uncompressed."""
        return sum(each.bytes for each in self.families) / self.users

    @property
    def checkpoint_bytes_per_user(self) -> float:
        """The checkpoint's bytes divided by the number of users."""
        return self.checkpoint_bytes / self.users


def measure_state(workload: Workload) -> StateSize:
    """Fill the state, wait for a checkpoint of it, and read that checkpoint."""
    scale = workload.scale
    behaviors = list(rounds(scale.state_users, scale.items, scale.state_events))
    past, last = behaviors[: -scale.state_users], behaviors[-scale.state_users :]
    with scoring_job(workload, "state", past, last) as live:
        wait_for_lists(live, len(last), "scoring the last behaviours")
        path = wait_for_checkpoint(live.rest, live.job_id)
        newest = live.rest.checkpoints(live.job_id).latest
        workload.report("reading the checkpoint")
        families = read_checkpoint(Path(urlsplit(path).path))
    size = newest.size_bytes if newest else 0
    return StateSize(scale.state_users, scale.state_events, families, size)


def read_checkpoint(path: Path) -> tuple[Family, ...]:
    """Read the sizes of both operators' states.

    Raises:
        CheckpointError: the checkpoint could not be read.
    """
    with open_checkpoint(path) as checkpoint:
        return tuple(
            Family(uid, size.name, size.entries, size.bytes)
            for uid in (TRACK_USERS, UPDATE_LISTS)
            for size in state_sizes(checkpoint, checkpoint.operator(uid))
        )
