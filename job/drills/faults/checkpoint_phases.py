"""Faults in each phase of a checkpoint: a TaskManager is stopped there, examined, and killed if the phase was hit.

A checkpoint is triggered when its folder is made, acknowledged by all when its metadata is begun, and committed when
the tables' files get their visible names. Each phase takes milliseconds; after a miss the TaskManager goes on, and the
next checkpoint is tried.
"""

import os
import signal
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

from job.cluster import NotRunningError
from job.cluster.checkpoint_files import METADATA
from job.cluster.uris import local_path
from job.drills.appearances import Appearances
from job.drills.errors import DrillError
from job.drills.evidence import Expectation
from job.drills.faults.fault import Fault, Injected
from job.drills.pending_files import open_files, visible
from job.drills.site import Site, now_ms
from job.tables.files import hour_folders
from job.tables.schema import TABLES
from model.waiting import polls

_TRIES = 20
_CHECKPOINT_S = 30.0
_SETTLED_S = 2.0
_POLL_S = 0.1
_IN_PROGRESS, _FAILED = "IN_PROGRESS", "FAILED"


@dataclass(frozen=True, slots=True)
class Victim:
    """The first TaskManager: its process, and the hidden files that it wrote to before the checkpoint."""

    pid: int
    files: tuple[Path, ...]


class _KillInPhase(Fault):
    """A TaskManager killed in a phase of a checkpoint."""

    expects = Expectation(reprocesses=False)
    bites_within_s: ClassVar[float] = 120.0

    @abstractmethod
    def reach(self, seen: Appearances, checkpoint: Path) -> None:
        """Return when the checkpoint in a folder is in the phase, or has left it."""

    @abstractmethod
    def caught(self, site: Site, victim: Victim, checkpoint: Path) -> str | None:
        """Return a description of the phase, which the stopped victim is in; None if it was missed."""

    def inject(self, site: Site) -> Injected:
        """Stop the first TaskManager in one checkpoint after the other, until it is in the phase; then kill it."""
        with Appearances() as seen:
            for _ in range(_TRIES):
                victim = _victim(site)
                checkpoint = _next_checkpoint(site, seen)
                with suppress(FileNotFoundError):  # it is gone: the phase was missed
                    seen.watch(checkpoint)
                    self.reach(seen, checkpoint)
                with _stopped(victim):
                    if phase := self.caught(site, victim, checkpoint):
                        at_ms = now_ms()
                        site.cluster.kill_task_manager(0, signal.SIGKILL)
                        return Injected(at_ms, f"TaskManager 0 (process {victim.pid}) got SIGKILL when {phase}")
        msg = f"the TaskManager was in the phase in none of {_TRIES} checkpoints"
        raise DrillError(msg)


@contextmanager
def _stopped(victim: Victim) -> Iterator[None]:
    """Keep a process from working in the block; it goes on whatever happens there, unless it was killed."""
    try:
        os.kill(victim.pid, signal.SIGSTOP)
        yield
    except ProcessLookupError as error:
        msg = f"TaskManager 0 (process {victim.pid}) ended by itself"
        raise NotRunningError(msg) from error
    finally:
        with suppress(ProcessLookupError):
            os.kill(victim.pid, signal.SIGCONT)


class KillTriggered(_KillInPhase):
    """Kill a TaskManager when a checkpoint is triggered, and not acknowledged by all: it never completes."""

    name = "kill-triggered"

    def reach(self, seen: Appearances, checkpoint: Path) -> None:
        """Go on at once: its folder has just been made."""

    def caught(self, site: Site, victim: Victim, checkpoint: Path) -> str | None:
        """Return how many tasks have acknowledged it, once no more do."""
        self._number, before = _number(checkpoint), (-1, -1)
        for _ in polls(timeout_s=_SETTLED_S, poll_s=_POLL_S):
            found = [each for each in site.rest.checkpoints(site.job_id).history if each.checkpoint_id == self._number]
            if any(each.status != _IN_PROGRESS for each in found):
                return None
            now = (found[0].acknowledged, found[0].subtasks) if found else (-1, -1)
            if found and now == before:
                return f"{now[0]} of {now[1]} subtasks had acknowledged {checkpoint.name}"
            before = now
        return None

    def evidence(self, site: Site, injected: Injected) -> str | None:
        """Wait until the checkpoint is given up."""
        if super().evidence(site, injected) is None:
            return None
        history = site.rest.checkpoints(site.job_id).history
        failed = any(each.checkpoint_id == self._number and each.status == _FAILED for each in history)
        return f"checkpoint {self._number} was triggered, and never completed" if failed else None


class _KillUncommitted(_KillInPhase):
    """A TaskManager killed with files that a complete checkpoint holds, and that are still hidden."""

    def evidence(self, site: Site, injected: Injected) -> str | None:
        """Wait until the restored job has committed them."""
        if not all(visible(file).exists() for file in self._hidden):
            return None
        return f"{len(self._hidden)} files that were hidden when it died were committed by the restored job"

    def caught(self, site: Site, victim: Victim, checkpoint: Path) -> str | None:
        """Return the number of its files by their names, once the checkpoint is complete."""
        if not site.wait((checkpoint / METADATA).exists, timeout_s=_SETTLED_S):
            return None
        self._hidden = tuple(file for file in victim.files if file.exists())
        committed = sum(visible(file).exists() for file in victim.files)
        if not self.is_phase(len(self._hidden), committed):
            return None
        return f"{committed} of its {committed + len(self._hidden)} files of {checkpoint.name} were committed"

    @abstractmethod
    def is_phase(self, hidden: int, committed: int) -> bool:
        """Return whether a process with so many files is in the phase."""


class KillAcknowledged(_KillUncommitted):
    """Kill a TaskManager when all have acknowledged a checkpoint, and its sinks have committed nothing of it."""

    name = "kill-acknowledged"

    def reach(self, seen: Appearances, checkpoint: Path) -> None:
        """Wait until the JobManager begins the checkpoint's metadata, as it does when all have acknowledged it."""
        _await_metadata(seen, checkpoint)

    def is_phase(self, hidden: int, committed: int) -> bool:
        """Return whether none is committed."""
        return hidden > 0 and not committed


class KillCommitting(_KillUncommitted):
    """Kill a TaskManager when its sinks have committed some of a checkpoint's files, and some not."""

    name = "kill-committing"

    def reach(self, seen: Appearances, checkpoint: Path) -> None:
        """Wait for the first file of a table that gets its visible name after the metadata."""
        _await_metadata(seen, checkpoint)
        while (file := seen.next(timeout_s=_SETTLED_S)) and (file.name[0] == "." or file.parent == checkpoint):
            pass

    def is_phase(self, hidden: int, committed: int) -> bool:
        """Return whether some are committed, and some not."""
        return hidden > 0 and committed > 0


def _victim(site: Site) -> Victim:
    """Return the first TaskManager once it writes to files of tables."""
    pid = site.cluster.task_managers()[0].pid
    if pid is None or not site.wait(partial(open_files, pid), timeout_s=_CHECKPOINT_S):
        msg = "TaskManager 0 writes to no table"
        raise NotRunningError(msg)
    return Victim(pid, open_files(pid))


def _next_checkpoint(site: Site, seen: Appearances) -> Path:
    """Return the folder of the next checkpoint as soon as it is made."""
    newest = site.newest_checkpoint()
    job = None if newest is None else local_path(newest.path)
    if job is not None:
        for folder in (job.parent, *(hour for table in TABLES for hour in hour_folders(site.tables, table))):
            seen.watch(folder)
        while seen.next(timeout_s=0.0):  # what came before
            pass
        while file := seen.next(timeout_s=_CHECKPOINT_S):
            if file.parent == job.parent:
                return file
    msg = f"no checkpoint began in {_CHECKPOINT_S:g} s"
    raise DrillError(msg)


def _await_metadata(seen: Appearances, checkpoint: Path) -> None:
    while (file := seen.next(timeout_s=_SETTLED_S)) and (file.parent != checkpoint or METADATA not in file.name):
        pass


def _number(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])
