"""Faults of the disk of the checkpoints: it is full, slow or read-only for a while."""

from pathlib import Path
from typing import ClassVar

from job.cluster import RestError
from job.drills.errors import DrillError
from job.drills.evidence import Expectation
from job.drills.faults.fault import Fault, Injected
from job.drills.site import Needs, Site, now_ms
from job.drills.slow_disk import SlowDisk
from job.drills.small_disks import fill, make_read_only, make_writable, release, why_no_mounts
from job.drills.surroundings import small_checkpoints

_SLOW_S = 2.0
_SLOW_CHECKPOINTS = 2
_READ_ONLY_S = 30.0


class _DiskFault(Fault):
    """A fault of a disk that only a small one of the drill's own can have."""

    needs = Needs.SMALL_DISKS
    touches = "checkpoints"

    def unavailable(self) -> str | None:
        """Return why no such disk can be mounted."""
        return why_no_mounts()


class _CheckpointsFail(_DiskFault):
    """Checkpoints fail until the disk is well again, and the job with them."""

    def evidence(self, site: Site, injected: Injected) -> str | None:
        """Wait until a checkpoint has failed, and tasks have stopped for it."""
        stopped = super().evidence(site, injected)
        if stopped is None or not _failed_checkpoints(site, injected.at_ms):
            return None
        return f"checkpoints failed, and {stopped}"


class CheckpointDiskFull(_CheckpointsFail):
    """Fill the disk of the checkpoints until the job fails for it, and make room again."""

    name = "checkpoint-disk-full"

    def inject(self, site: Site) -> Injected:
        """Take all the space that is left."""
        at_ms = now_ms()
        fill(_checkpoints(site))
        return Injected(at_ms, "the disk of the checkpoints was full until the job had failed")

    def evidence(self, site: Site, injected: Injected) -> str | None:
        """Take what removed checkpoints gave back, too."""
        fill(_checkpoints(site))
        return super().evidence(site, injected)

    def mend(self, site: Site) -> None:
        """Make room."""
        release(_checkpoints(site))


class CheckpointDiskReadOnly(_CheckpointsFail):
    """Make the disk of the checkpoints read-only until the job fails for it, and writable again."""

    name = "checkpoint-disk-read-only"

    def inject(self, site: Site) -> Injected:
        """Do so between two checkpoints, as Linux refuses it while a file is written."""
        site.wait(lambda: make_read_only(_checkpoints(site)), timeout_s=_READ_ONLY_S)
        return Injected(now_ms(), "the disk of the checkpoints was read-only until the job had failed")

    def mend(self, site: Site) -> None:
        """Make it writable."""
        make_writable(_checkpoints(site))


class CheckpointDiskSlow(_DiskFault):
    """Have the disk of the checkpoints open each file 2 s late, for some checkpoints."""

    name = "checkpoint-disk-slow"
    expects = Expectation(restarts=False, reprocesses=False)
    bites_within_s: ClassVar[float] = 120.0

    def inject(self, site: Site) -> Injected:
        """Answer late to each opening from now on."""
        at_ms = now_ms()
        try:
            self._disk = SlowDisk(_checkpoints(site), _SLOW_S)
        except OSError as error:
            msg = f"the disk of the checkpoints cannot be made slow: {error}"
            raise DrillError(msg) from error
        return Injected(at_ms, f"each opening of a file on the disk of the checkpoints took {_SLOW_S:g} s")

    def evidence(self, site: Site, injected: Injected) -> str | None:
        """Wait for checkpoints that took so long, and were complete all the same."""
        history = site.rest.checkpoints(site.job_id).history
        slow = [each for each in history if each.path and each.trigger_ms >= injected.at_ms]
        longest = max((each.duration_ms for each in slow), default=0)
        if len(slow) < _SLOW_CHECKPOINTS or longest < _SLOW_S * 1000:
            return None
        return f"{self._disk.opened} openings were delayed, and checkpoints took up to {longest:,} ms"

    def mend(self, site: Site) -> None:
        """Answer no more."""
        self._disk.close()


def _checkpoints(site: Site) -> Path:
    """Return the folder of the checkpoints, which is a small disk."""
    return small_checkpoints(site.cluster.directory.parent)


def _failed_checkpoints(site: Site, since_ms: int) -> int:
    try:
        history = site.rest.checkpoints(site.job_id).history
    except RestError:  # it may answer the next time
        return 0
    return sum(each.status == "FAILED" and each.trigger_ms >= since_ms for each in history)
