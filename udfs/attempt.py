"""The attempt of the job that made a row, named by its epoch. Pure; poll-log stamps what it reads.

An attempt is the job's run from one start or restore to the next. Files that a checkpoint committed stay visible when
the job falls back to an older one. So every row carries its attempt's epoch, and the table `attempts` records where
each one began, and on which earlier one it builds.
"""

from dataclasses import dataclass

EPOCHS_A_DEPLOYMENT = 1 << 42
"""Above every checkpoint's number, and above the clock in ms (1.8e12), which epochs of earlier releases began at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentId:
    """The deployment that an attempt belongs to.

    Attributes:
        number: rises with every submission of the job, roll-backs too.
        generation: rises where the job began anew, with empty state.
    """

    number: int
    generation: int


def attempt_epoch(number: int, restored_checkpoint: int | None, stored: int | None) -> int:
    """Return the epoch of an attempt: the same on every TaskManager, whatever their clocks show.

    Two attempts that restored the same checkpoint get the same one: nothing of the earlier was committed, or the later
    would have restored what committed it. Checkpoints of a job are numbered on across restores and JobManagers.

    Args:
        number: the deployment's.
        restored_checkpoint: its number, None where there is none.
        stored: the epoch that the restored state holds, None where there is none. The new one is above it in any case,
            also where a deployment's number was lost.
    """
    begun = 0 if restored_checkpoint is None else restored_checkpoint + 1
    return max(number * EPOCHS_A_DEPLOYMENT + begun, 0 if stored is None else stored + 1)
