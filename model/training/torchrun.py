"""This process's place among the processes that `torchrun` started, if it is one of them."""

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Member:
    """This process among those of a `torchrun`.

    Attributes:
        rank: its number over all machines, from 0; process 0 leads.
        size: number of processes on all machines.
        local_rank: its number on this machine, from 0.
        restarts: how often torchrun has restarted the processes.
    """

    rank: int
    size: int
    local_rank: int
    restarts: int


def follows() -> bool:
    """Return True if this process is one of several, and another one leads."""
    one_of = member()
    return one_of is not None and one_of.rank > 0


def begun_again() -> bool:
    """Return True if torchrun has restarted its processes, as it does after one was killed."""
    one_of = member()
    return one_of is not None and one_of.restarts > 0


def member() -> Member | None:
    """Return this process's place in a torchrun, or None if torchrun did not start it."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return None
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "TORCHELASTIC_RESTART_COUNT")
    return Member(*(int(os.environ[name]) for name in names))
