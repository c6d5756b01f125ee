"""Code and settings of deployments long past: removed once a newer deployment runs.

What may go is only what a line of a history in the folder names, so nothing that somebody else put there. What stays is
what the newest deployments of each job were made of, to go back to and to read where state was left, and what is so
new that another deployment may just have written it.
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from job.deployment.history import DeploymentHistory, Shipped
from job.deployment.submission import DeployError

KEPT = 10
"""So many deployments of a job keep their files."""
_ANOTHERS_S = 3_600.0
"""Longer than a deployment takes, from packing its code to naming it in its history."""


def remove_old_files(folder: Path) -> None:
    """Remove what only old deployments were made of; what cannot be removed stays.

    Args:
        folder: where deployments are written down, of any number of jobs.
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
    """Those of the deployment that counts, which may be older than ones that failed, and of the newest."""
    newest = [history.newest.shipped] if history.newest else []
    return [*newest, *history.shipped[-KEPT:]]


def _is_of(folder: Path, file: Path) -> bool:
    """Whether a deployment writes such a file there: a line may name another folder, from before this one was moved."""
    return file.is_file() and file.parent in (folder, folder / "code")
