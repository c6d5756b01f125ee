"""Bundles on this machine's disk, each in a folder named by its hash."""

import shutil
from collections.abc import Callable
from pathlib import Path

from model.bundles.bundle_files import BUNDLE, BundleFiles
from model.bundles.manifest import BundleError
from model.file_lock import locked
from model.folders import whole_folder


def cached(cache: Path, bundle_hash: str, source: Callable[[], BundleFiles]) -> Path:
    """Returns the folder with a bundle's files, copied into `cache` unless they are there already.

    Every file's sha256 is checked, of what is copied and of what is there; a folder that does not hold is
    replaced. Any number of processes may ask at once: one copies, the others wait for it. What a killed copy left
    is never seen, and the next copy of that bundle removes it.

    Args:
        cache: the folder of such folders.
        bundle_hash: the bundle's.
        source: opens the bundle with that hash; called only where it has to be copied.

    Raises:
        BundleError: the source is not whole, or of another contract.
    """
    folder = cache / bundle_hash
    with locked(cache / f".{bundle_hash}.lock"):
        if not _holds(folder, bundle_hash):
            for left in (folder, *cache.glob(f".{bundle_hash}.*-*")):
                shutil.rmtree(left, ignore_errors=True)
            _copy(source(), folder)
    return folder


def _copy(files: BundleFiles, folder: Path) -> None:
    with whole_folder(folder, BUNDLE) as draft:
        for name, content in files:
            (draft / name).write_bytes(content)


def _holds(folder: Path, expected: str) -> bool:
    try:
        files = BundleFiles.of_folder(folder)
        files.check()
    except BundleError:
        return False
    return files.hash == expected
