"""The files of a bundle in any place, each checked by its sha256 as it is read.

`Bundle` reads a folder through this module, and the registry copies bundles to and from a folder or an object store.
"""

import hashlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from model.bundles.manifest import (
    CONTRACT_VERSION,
    BundleContractError,
    BundleCorruptError,
    BundleEmptyError,
    BundleMissingError,
    Manifest,
)
from model.folders import FolderKind, mend

MANIFEST = "manifest.json"
MODEL = "model.pt"
VOCABULARY = "vocabulary.json"
CATALOG = "catalog.json"
NEIGHBORS = "neighbors.npy"
POPULARITY = "popularity.json"
FILES = (MODEL, VOCABULARY, CATALOG, NEIGHBORS, POPULARITY)

BUNDLE = FolderKind("a bundle", MANIFEST, frozenset({"contract_version", "files"}), (MANIFEST, *FILES))
PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,127}")
"""The allowed names of files, models and versions; none of them is a path."""
Reader = Callable[[str], bytes]
"""File name -> content; raises FileNotFoundError."""
T = TypeVar("T")


class BundleFiles:
    """A bundle's manifest and, one at a time, its other files.

    Iterating gives (name, content) of every file, the manifest last: a copy written in this order has a manifest only
    if every file that it names is there.

    Attributes:
        manifest: the bundle's description.
        hash: sha256 of manifest.json in hex; it covers every file.
    """

    def __init__(self, place: str, read: Reader) -> None:
        """Read the manifest.

        Args:
            place: folder or URL, for messages.
            read: returns the content of a file.

        Raises:
            BundleMissingError: there is no manifest.
            BundleCorruptError: it cannot be understood.
            BundleContractError: the bundle was made for another version of the contract.
            BundleEmptyError: it knows no item.
        """
        self._place = place
        self._read = read
        try:
            self._manifest_content = read(MANIFEST)
        except (FileNotFoundError, NotADirectoryError) as error:
            msg = f"{place} holds no bundle ({MANIFEST} is missing); make one with: recloop train"
            raise BundleMissingError(msg) from error
        self.manifest = _checked_manifest(place, self._manifest_content)
        self.hash = hashlib.sha256(self._manifest_content).hexdigest()

    @classmethod
    def of_folder(cls, folder: Path) -> "BundleFiles":
        """Open the bundle in a local folder; raises the errors of `__init__`."""
        mend(folder)
        return cls(str(folder), folder_reader(folder))

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        for name in self.manifest.files:
            yield name, self.read(name)
        yield MANIFEST, self._manifest_content

    def read(self, name: str) -> bytes:
        """Read a file that the manifest names.

        Raises:
            BundleMissingError: it is missing.
            BundleCorruptError: it is not what the manifest says.
        """
        return read_checked(self._place, name, self.manifest.files[name], self._read)

    def check(self) -> None:
        """Read every file once.

        Raises:
            BundleMissingError: one is missing.
            BundleCorruptError: one is not what the manifest says.
        """
        for name in self.manifest.files:
            self.read(name)


def folder_reader(folder: Path) -> Reader:
    """Return a reader of a local folder's files."""
    return lambda name: (folder / name).read_bytes()


def read_checked(place: str | Path, name: str, sha256: str, read: Reader) -> bytes:
    """Read one file of the bundle at `place` and check its sha256.

    Raises:
        BundleMissingError: it is missing.
        BundleCorruptError: its sha256 is another one.
    """
    try:
        content = read(name)
    except FileNotFoundError as error:
        msg = f"{place}/{name} is missing; copy the whole bundle again or train the model again"
        raise BundleMissingError(msg) from error
    if hashlib.sha256(content).hexdigest() != sha256:
        msg = f"{place}/{name} is corrupt: its sha256 is not the manifest's; copy the bundle again"
        raise BundleCorruptError(msg)
    return content


def decode(file: str | Path, content: bytes, kind: type[T]) -> T:
    """Decode a JSON file of a bundle.

    Raises:
        BundleCorruptError: it is no JSON of the type `kind`.
    """
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        msg = f"{file} cannot be understood: {error}; train the model again"
        raise BundleCorruptError(msg) from error


def _checked_manifest(place: str, content: bytes) -> Manifest:
    manifest = decode(f"{place}/{MANIFEST}", content, Manifest)
    if manifest.contract_version != CONTRACT_VERSION:
        msg = (
            f"{place} keeps contract version {manifest.contract_version}, this program serves version "
            f"{CONTRACT_VERSION}; train the model again with: recloop train"
        )
        raise BundleContractError(msg)
    if missing := [name for name in FILES if name not in manifest.files]:
        msg = f"{place}/{MANIFEST} lists no sha256 of {', '.join(missing)}; train the model again"
        raise BundleCorruptError(msg)
    if outside := [name for name in manifest.files if not PLAIN_NAME.fullmatch(name) or name == MANIFEST]:
        msg = f"{place}/{MANIFEST} names files that no bundle has: {', '.join(outside)}; do not use it"
        raise BundleCorruptError(msg)
    if manifest.items < 1:
        msg = f"{place} knows no item, as nothing lay before the cut-off; train with more data or a later cut-off"
        raise BundleEmptyError(msg)
    wrong = ""
    if not 1 <= manifest.k <= manifest.items:
        wrong = f"k {manifest.k:,}, and a model of {manifest.items:,} items returns 1 to {manifest.items:,}"
    elif manifest.history_length < 1:
        wrong = f"history_length {manifest.history_length:,}, and a model looks at 1 item of a history or more"
    elif manifest.neighbors < 0:
        wrong = f"neighbors {manifest.neighbors:,}, and there are 0 or more"
    if wrong:
        msg = f"{place}/{MANIFEST} has {wrong}; train the model again"
        raise BundleCorruptError(msg)
    return manifest
