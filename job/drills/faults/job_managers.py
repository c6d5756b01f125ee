"""Faults of the JobManager without high availability, also with a newest checkpoint that does not restore."""

from abc import abstractmethod
from pathlib import Path
from typing import ClassVar

from job.cluster.checkpoint_files import METADATA
from job.cluster.uris import file_uri, local_path
from job.drills.errors import DrillError
from job.drills.evidence import Expectation
from job.drills.faults.fault import Fault, Injected
from job.drills.site import Needs, Site, now_ms


class KillJobManager(Fault):
    """End the JobManager with SIGKILL: it forgets the job, which is submitted again from its newest checkpoint."""

    name = "kill-job-manager"

    def inject(self, site: Site) -> Injected:
        """Kill it."""
        at_ms = now_ms()
        pid = site.cluster.kill_job_manager()
        return Injected(at_ms, f"the JobManager (process {pid}) got SIGKILL")


class KillLeader(KillJobManager):
    """End the leading JobManager of two with SIGKILL: the other one takes over, and restores the job."""

    name = "kill-leader"
    needs = Needs.HIGH_AVAILABILITY


class _SpoilCheckpoint(Fault):
    """A newest checkpoint that does not restore; then the JobManager dies."""

    expects = Expectation(falls_back=True)
    touches = "checkpoints"
    mends_within_s: ClassVar[float] = 300.0

    @abstractmethod
    def spoil(self, checkpoint: Path) -> str:
        """Make the checkpoint in a folder unusable, and return a description of what was done."""

    def inject(self, site: Site) -> Injected:
        """Kill the JobManager, so that no newer checkpoint comes, and spoil the newest one."""
        folder = _job_folder(site)
        at_ms = now_ms()
        pid = site.cluster.kill_job_manager()
        complete = [each.parent for each in folder.glob(f"chk-*/{METADATA}")]
        newest = max(complete, key=lambda each: int(each.name.rpartition("-")[2]))
        done = self.spoil(newest)
        description = f"the JobManager (process {pid}) got SIGKILL, and {newest.name}, its newest checkpoint, {done}"
        return Injected(at_ms, description, (file_uri(newest),))


class CorruptCheckpoint(_SpoilCheckpoint):
    """Damage the bytes of the newest checkpoint, and kill the JobManager: the job goes on from the one before."""

    name = "corrupt-checkpoint"

    def spoil(self, checkpoint: Path) -> str:
        """Overwrite the middle of its metadata."""
        file = checkpoint / METADATA
        content = bytearray(file.read_bytes())
        third = len(content) // 3
        content[third : 2 * third] = bytes(each ^ 0xFF for each in content[third : 2 * third])
        file.write_bytes(content)
        return f"had {third:,} bytes of its metadata damaged"


class TruncateCheckpoint(_SpoilCheckpoint):
    """Cut the newest checkpoint short, and kill the JobManager: the job goes on from the one before."""

    name = "truncate-checkpoint"

    def spoil(self, checkpoint: Path) -> str:
        """Keep the first half of its metadata."""
        file = checkpoint / METADATA
        content = file.read_bytes()
        file.write_bytes(content[: len(content) // 2])
        return f"lost the second half of the {len(content):,} bytes of its metadata"


class LoseMetadata(_SpoilCheckpoint):
    """Remove the newest checkpoint's metadata, and kill the JobManager: the job goes on from the one before."""

    name = "lose-metadata"

    def spoil(self, checkpoint: Path) -> str:
        """Remove the file."""
        (checkpoint / METADATA).unlink()
        return "lost its metadata"


def _job_folder(site: Site) -> Path:
    """Return the folder of the job's checkpoints."""
    newest = site.newest_checkpoint()
    folder = None if newest is None else local_path(newest.path)
    if folder is None:
        msg = "no checkpoint was complete when the JobManager was to die"
        raise DrillError(msg)
    return folder.parent
