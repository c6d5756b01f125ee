"""Small disks in memory, mounted on folders of a drill: they can be filled, and made read-only."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from job.drills.errors import DrillError

_BALLAST = ".ballast"
_BLOCK = b"\0" * 2**20


def why_no_mounts() -> str | None:
    """Return why this process cannot mount a disk; None if it can."""
    if os.geteuid() != 0:
        return "only root may mount a small disk"
    missing = [name for name in ("mount", "umount") if shutil.which(name) is None]
    if missing:
        return f"there is no command {missing[0]} here"
    with tempfile.TemporaryDirectory() as folder:  # root in a container may be forbidden to mount
        if (tried := _mount("-t", "tmpfs", "tmpfs", folder)).returncode:
            return f"no disk can be mounted here: {tried.stderr.strip()}"
        unmount(Path(folder))
    return None


@contextmanager
def small_disk(folder: Path, size_mb: int) -> Iterator[None]:
    """Mount a disk of some MiB on a new folder; after the block its files are on the disk below.

    Raises:
        DrillError: it cannot be mounted.
    """
    folder.mkdir(parents=True)
    _run("mount", "-t", "tmpfs", "-o", f"size={size_mb}m,mode=755", "tmpfs", str(folder))
    try:
        yield
    finally:
        kept = folder.with_name(f"{folder.name}-kept")
        try:
            with suppress(OSError):  # it may be read-only still, and then nothing was taken
                release(folder)
            shutil.copytree(folder, kept)
        finally:
            unmount(folder)
        folder.rmdir()
        kept.rename(folder)


def fill(folder: Path) -> None:
    """Take all space that is left of the disk on which a folder is; more of it, if it is filled already."""
    with suppress(OSError), (folder / _BALLAST).open("ab", buffering=0) as ballast:
        while True:  # until there is no space: others write too, so that it cannot be taken in one piece
            ballast.write(_BLOCK)


def release(folder: Path) -> None:
    """Give back the space that `fill` took."""
    (folder / _BALLAST).unlink(missing_ok=True)


def make_read_only(folder: Path) -> bool:
    """Have every write to the disk mounted on a folder fail; return False if a file is being written just now."""
    return _mount("-o", "remount,ro", str(folder)).returncode == 0


def make_writable(folder: Path) -> None:
    """Undo `make_read_only`.

    Raises:
        DrillError: it cannot be undone.
    """
    _run("mount", "-o", "remount,rw", str(folder))


def unmount(folder: Path) -> None:
    """Take the disk off a folder, even if a file on it is open."""
    _run("umount", "--lazy", str(folder))


def unmount_below(folder: Path) -> None:
    """Take off all disks below a folder, as a drill that was killed leaves them."""
    real = folder.resolve()  # as mount points are
    for point in (Path(each.mountpoint) for each in psutil.disk_partitions(all=True)):
        if point.is_relative_to(real):
            unmount(point)


def _mount(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["mount", *words], capture_output=True, text=True, check=False)


def _run(*words: str) -> None:
    ended = subprocess.run(words, capture_output=True, text=True, check=False)
    if ended.returncode:
        msg = f"{words[0]} failed: {ended.stderr.strip()}"
        raise DrillError(msg)
