"""The removal of old deployments' code and settings, once a newer deployment runs.

Only files that a line of a history in the folder names are removed, so nothing that somebody else put there. The files
of the newest deployments of each job stay, so that one can go back to them and read where state was left. Files so new
that another deployment may just have written them stay too.
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from job.deployment.history import DeploymentHistory, Shipped
from job.deployment.submission import DeployError

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
        histories = [DeploymentHistory(folder, name) for name in _jobs(folder)]
        needed = {file for each in histories for file in _files(_needed(each))}
        for file in {file for each in histories for file in _files(each.shipped)} - needed:
            if _is_of(folder.absolute(), file) and time.time() - file.stat().st_mtime > _ANOTHERS_S:
                file.unlink()


def _jobs(folder: Path) -> Iterator[str]:
    suffix = ".history.jsonl"
    return (file.name.removesuffix(suffix) for file in folder.glob(f"*{suffix}"))


def _files(every: Iterable[Shipped]) -> Iterator[Path]:
    return (file.absolute() for shipped in every for file in shipped.files)


def _needed(history: DeploymentHistory) -> list[Shipped]:
    """Return the files of the newest deployments, and of the one that counts, which may be older than failed ones."""
    newest = [history.newest.shipped] if history.newest else []
    return [*newest, *history.shipped[-KEPT:]]


def _is_of(folder: Path, file: Path) -> bool:
    """Return whether a deployment writes such a file there.

    A line may name another folder, from before this one was moved.
    """
    return file.is_file() and file.parent in (folder, folder / "code")
