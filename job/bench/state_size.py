"""How large a user's state is: all keyed state of both operators, uncompressed, out of a retained checkpoint.

The last behaviour of every user is scored, so that every list is a recommended one; those before it need no model.
"""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from job.bench.errors import BenchError
from job.bench.ground import Ground
from job.bench.live import Live, scoring_job, wait_for_checkpoint, wait_for_lists
from job.bench.many_users import rounds

OPERATORS = ("track-users", "update-lists")
_READ_S = 300.0


@dataclass(frozen=True, slots=True)
class Family:
    """One state of an operator: its entries, and the bytes of their keys and values."""

    operator: str
    name: str
    entries: int
    key_bytes: int
    value_bytes: int


@dataclass(frozen=True, slots=True)
class StateSize:
    """State of so many users with so many behaviours each.

    Attributes:
        users: how many.
        behaviors: of each.
        families: every state of both operators; timers are on the heap, and not among them.
        checkpoint_bytes: the checkpoint's full size, as Flink tells it: compressed, of all operators.
    """

    users: int
    behaviors: int
    families: tuple[Family, ...]
    checkpoint_bytes: int

    @property
    def bytes_per_user(self) -> float:
        """Keys and values, uncompressed."""
        return sum(each.key_bytes + each.value_bytes for each in self.families) / self.users

    @property
    def checkpoint_bytes_per_user(self) -> float:
        """The checkpoint's share of a user."""
        return self.checkpoint_bytes / self.users


def measure_state(ground: Ground) -> StateSize:
    """Fills the state, waits for a checkpoint of it, and reads that."""
    scale = ground.scale
    behaviors = list(rounds(scale.state_users, scale.items, scale.state_events))
    past, last = behaviors[: -scale.state_users], behaviors[-scale.state_users :]
    with scoring_job(ground, "state", past, last) as live:
        wait_for_lists(live, len(last), "scoring the last behaviours")
        path = wait_for_checkpoint(live.rest, live.job_id)
        newest = live.rest.checkpoints(live.job_id).latest
        ground.say("reading the checkpoint")
        families = read_checkpoint(live, Path(urlsplit(path).path))
    size = newest.size_bytes if newest else 0
    return StateSize(scale.state_users, scale.state_events, families, size)


def read_checkpoint(live: Live, path: Path) -> tuple[Family, ...]:
    """The state of both operators, by a program of its own: it needs a JVM with Flink's classes.

    Raises:
        BenchError: it could not read the checkpoint.
    """
    folder = live.cluster.directory.parent / "read"
    command = [sys.executable, "-m", "job.bench.read_state", str(path), str(folder), *OPERATORS]
    done = subprocess.run(
        command, env=live.cluster.environment(), capture_output=True, text=True, timeout=_READ_S, check=False
    )
    if done.returncode:
        msg = f"the checkpoint {path} could not be read: {(done.stderr.strip().splitlines() or ['no reason'])[-1]}"
        raise BenchError(msg)
    return tuple(Family(**each) for each in json.loads(done.stdout.splitlines()[-1]))
