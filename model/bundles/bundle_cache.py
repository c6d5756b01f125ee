"""A cache of bundles on this machine's disk, each in a folder named by its hash.

Any number of jobs may share a cache, and none knows which bundles the others will load when they restart. So, when a
new bundle is copied, an old one stays if it is among the `KEPT` used last, was used within `UNUSED_S`, is held by a
living process, or is the one last served of a model in a registry.
"""

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from model.bundles.bundle_files import BUNDLE, BundleFiles
from model.bundles.manifest import BundleError
from model.file_lock import lock, locked, try_lock
from model.folders import MARKER, FolderError, remove_folder, whole_folder

KEPT = 8
"""The number of bundles used last that stay, however long ago that was."""
UNUSED_S = 7 * 86_400.0
"""A bundle used within this time stays: a stopped job resumes from its state with the bundle that it had."""
SERVED = "served-*.json"
"""The files in a cache that name the bundles served last, by hash."""
_HASH = re.compile(r"[0-9a-f]{64}")
_held: dict[Path, int] = {}
"""Folder of a held bundle -> handle of its locked marker; this process keeps the locks until it ends."""


def cached(cache: Path, bundle_hash: str, source: Callable[[], BundleFiles]) -> Path:
    """Return the folder with a bundle's files, copied into `cache` unless they are there already.

    Every file's sha256 is checked, whether the file is copied or already there; an invalid folder is replaced. Any
    number of processes may call at once: one copies, the others wait for it. The leftovers of a killed copy are never
    used, and the next copy of that bundle removes them. After a copy, old bundles are removed.

    Args:
        cache: the folder of cached bundles.
        bundle_hash: the hash of the bundle.
        source: opens the bundle with that hash; called only if it has to be copied.

    Raises:
        BundleError: the source is not whole, or of another contract.
    """
    folder = cache / bundle_hash
    with _alone_with(folder):
        try:
            there = BundleFiles.of_folder(folder)
            there.check()
            is_new = there.hash != bundle_hash
        except BundleError:
            is_new = True
        if is_new:
            files = source()
            with whole_folder(folder, BUNDLE) as draft:
                for name, content in files:
                    (draft / name).write_bytes(content)
        with suppress(OSError):  # a folder of another user keeps its time, so its age counts
            os.utime(folder)
    if is_new:
        _remove_unused(cache)
    return folder


def hold(folder: Path) -> None:
    """Keep a cached bundle from being removed for as long as this process lives."""
    if folder in _held:
        return
    with suppress(OSError):
        handle = os.open(folder / MARKER, os.O_RDONLY)
        lock(handle, shared=True)
        _held[folder] = handle


def unused(cache: Path) -> list[Path]:
    """Return the cached bundles that no rule of this module keeps; none if the folder cannot be read."""
    found = []
    for folder in _not_kept(cache):
        with suppress(OSError), _left_alone(folder) as is_unused:
            found += [folder] if is_unused else []
    return found


def remove_unused(folder: Path) -> None:
    """Remove a bundle that was not kept, unless somebody uses it by now.

    Raises:
        OSError: it cannot be removed.
        FolderError: it is no bundle, or something else is in its folder.
    """
    with _alone_with(folder), _left_alone(folder) as is_unused:
        if is_unused:
            remove_folder(folder, BUNDLE)


def _remove_unused(cache: Path) -> None:
    """Remove the bundles that no rule of this module keeps; what cannot be removed stays."""
    for folder in _not_kept(cache):
        with suppress(OSError, FolderError):
            remove_unused(folder)


def _not_kept(cache: Path) -> list[Path]:
    """Return the bundles beyond the newest that were not served last, whether somebody uses them or not."""
    with suppress(OSError):
        served = b"".join(file.read_bytes() for file in cache.glob(SERVED))
        found = sorted((each for each in cache.iterdir() if _HASH.fullmatch(each.name)), key=_used_at, reverse=True)
        return [each for each in found[KEPT:] if each.name.encode() not in served]
    return []


@contextmanager
def _left_alone(folder: Path) -> Iterator[bool]:
    """Yield whether a bundle was not used lately and no process holds it; none can begin to during the block."""
    handle = os.open(folder / MARKER, os.O_RDONLY)
    try:
        yield try_lock(handle) and time.time() - _used_at(folder) > UNUSED_S
    finally:
        os.close(handle)


def _used_at(folder: Path) -> float:
    return folder.stat().st_mtime


def _alone_with(folder: Path) -> AbstractContextManager[None]:
    return locked(folder.with_name(f".{folder.name}.lock"))
