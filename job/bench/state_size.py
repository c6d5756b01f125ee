"""The size of a user's state: all keyed state of both operators, uncompressed, read from a retained checkpoint.

The last behaviour of every user is scored, so that every list comes from the model; those before it need no model.
"""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from job.bench.errors import BenchError
from job.bench.live import Live, scoring_job, wait_for_checkpoint, wait_for_lists
from job.bench.many_users import rounds
from job.bench.workload import Workload

_OPERATORS = ("track-users", "update-lists")
_READ_S = 300.0


@dataclass(frozen=True, slots=True)
class Family:
    """A state of an operator (a column family): its entries, and the bytes of their keys and values."""

    operator: str
    name: str
    entries: int
    key_bytes: int
    value_bytes: int


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
        return sum(each.key_bytes + each.value_bytes for each in self.families) / self.users

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
        families = read_checkpoint(live, Path(urlsplit(path).path))
    size = newest.size_bytes if newest else 0
    return StateSize(scale.state_users, scale.state_events, families, size)


def read_checkpoint(live: Live, path: Path) -> tuple[Family, ...]:
    """Read the state of both operators in a separate program, as it needs a JVM with Flink's classes.

    Raises:
        BenchError: the checkpoint could not be read.
    """
    folder = live.cluster.directory.parent / "read"
    command = [sys.executable, "-m", "job.bench.read_state", str(path), str(folder), *_OPERATORS]
    done = subprocess.run(
        command, env=live.cluster.environment(), capture_output=True, text=True, timeout=_READ_S, check=False
    )
    if done.returncode:
        msg = f"the checkpoint {path} could not be read: {(done.stderr.strip().splitlines() or ['no reason'])[-1]}"
        raise BenchError(msg)
    return tuple(Family(**each) for each in json.loads(done.stdout.splitlines()[-1]))
