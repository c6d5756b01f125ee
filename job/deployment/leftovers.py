"""The removal of old deployments' code and settings, once a newer deployment runs.

Only files that a line of a history in the folder names are removed, so nothing that somebody else put there. The files
of the newest deployments of each job stay, so that one can go back to them and read where state was left. Files so new
that another deployment may just have written them stay too.
"""

import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from job.deployment.history import DeploymentHistory, Shipped
from job.deployment.submission import DeployError

_HISTORY = ".history.jsonl"
KEPT = 10
"""The number of deployments of a job that keep their files."""
_ANOTHERS_S = 3_600.0
"""A time longer than a deployment takes from packing its code to naming it in its history."""


def remove_old_files(folder: Path) -> None:
    """Remove the files that only old deployments used; those that cannot be removed stay.

    Args:
        folder: the folder that records deployments, of any number of jobs.
    """
    with suppress(DeployError, OSError):
        for file in old_files(folder):
            file.unlink()


def old_files(folder: Path) -> list[Path]:
    """Return the files that only old deployments used.

    Raises:
        DeployError: a history is broken.
    """
    # A line may name another folder, from before this one was moved.
    written_here = (folder.absolute(), folder.absolute() / "code")
    named: set[Path] = set()
    needed: set[Path] = set()
    for history in histories(folder):
        named |= _files(history.shipped)
        needed |= _files(history.shipped[-KEPT:])
        if history.newest is not None:  # the one that counts may be older than many failed ones
            needed |= _files([history.newest.shipped])
    ours = (file for file in sorted(named - needed) if file.parent in written_here and file.is_file())
    return [file for file in ours if time.time() - file.stat().st_mtime > _ANOTHERS_S]


def histories(folder: Path) -> list[DeploymentHistory]:
    """Return the history of each job in the folder that records deployments.

    Raises:
        DeployError: one is broken.
    """
    return [DeploymentHistory(folder, file.name.removesuffix(_HISTORY)) for file in folder.glob(f"*{_HISTORY}")]


def _files(every: Iterable[Shipped]) -> set[Path]:
    return {file.absolute() for shipped in every for file in shipped.files}
