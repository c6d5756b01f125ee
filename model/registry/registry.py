"""The registry of models: bundles under immutable versions, and pointers to the versions to serve.

    <registry>/<model>/<version>/      a bundle; its manifest.json is written last, and without it no version is there
    <registry>/<model>/pointers.json   `Pointers`: current, candidate and the former current versions
    <registry>/<model>/.lock           held by the process that writes

The registry is a folder, or any URL that an installed fsspec package knows. The sha256 of each of a bundle's files is
checked before the file is used. A bundle is registered or pointed at only if it is whole and passes its trial
(`model.bundles.trial`). This module imports no Flink, and torch only to try a model.

**Following the registry.** Call `pointers(name)` as often as you like. When they differ from those you have, call
`fetch(name, pointers.current, cache)` and load the folder that it returns with `Bundle.load`. On a `RegistryError`,
keep serving the bundle you have.

**Concurrent writers.** In a folder, writers wait for each other, so no move of a pointer is lost. Elsewhere there are
no locks. Both pointers still move in one put of one object, which object stores show whole or not at all, so a reader
sees the pointers either before or after a move. Of two moves within the same fraction of a second, the later put stays,
under the same revision, and the other is lost: move pointers from one place only. Servers that write in place (FTP,
SFTP) may show half a file, which is refused, and the whole file a moment later. Two concurrent registrations of one
version with different content may mix their files. The hashes reveal it, the version is refused, and registering it
again repairs it.
"""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from model.bundles.bundle import Bundle
from model.bundles.bundle_cache import cached
from model.bundles.bundle_files import MANIFEST, PLAIN_NAME, BundleFiles
from model.bundles.manifest import LEAST_RECALL, BundleCorruptError, Manifest, refuse_recall
from model.bundles.trial import try_bundle, try_files
from model.registry.errors import (
    RegistryAccessError,
    RegistryCorruptError,
    RegistryMissingError,
    RegistryMoveError,
    RegistryNameError,
    VersionTakenError,
)
from model.registry.pointers import CANDIDATE, CURRENT, Pointers, Version
from model.registry.store import open_store

POINTERS = "pointers.json"
_MOVES = {CURRENT: "promote", CANDIDATE: "candidate"}
_PLAIN = PLAIN_NAME.fullmatch


class Registry:
    """A registry, read anew by every call; nothing is kept in memory.

    All methods raise RegistryAccessError if the folder or URL cannot be used, RegistryNameError if a name is no plain
    word, and RegistryMissingError if a model, version or pointer that they need is missing. A `which` is a version's
    id, "current", "candidate", or a `Version`.

    Attributes:
        place: folder or URL, without a password.
    """

    def __init__(self, url: str | Path) -> None:
        """Open the registry; a missing folder is made when a bundle is registered.

        Raises:
            RegistryAccessError: no installed package knows such URLs, or the server cannot be reached.
        """
        self._store = open_store(url)
        self.place = self._store.place

    def names(self) -> tuple[str, ...]:
        """Return the models that have a version, sorted by name."""
        return tuple(sorted({name for name, _ in self._bundles("*")}))

    def versions(self, name: str) -> tuple[str, ...]:
        """Return a model's versions, sorted by name; those of `recloop train` are times, so the newest is last."""
        if not (found := self._bundles(_plain(name))):
            msg = f"the registry {self.place} has no model {name!r}: recloop models list shows those it has"
            raise RegistryMissingError(msg)
        return tuple(sorted(version for _, version in found))

    def pointers(self, name: str) -> Pointers:
        """Read the model's pointers; the file is small, so call as often as you like.

        Raises:
            RegistryCorruptError: the file cannot be understood.
        """
        try:
            content = self._store.read(f"{_plain(name)}/{POINTERS}")
        except FileNotFoundError:
            self.versions(name)
            return Pointers()
        try:
            return msgspec.json.decode(content, type=Pointers)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            msg = (
                f"{self.place}/{name}/{POINTERS} cannot be understood ({error}): restore it, or remove it and say "
                f"anew which version is current: recloop models promote {name} VERSION"
            )
            raise RegistryCorruptError(msg) from error

    def find(self, name: str, which: str | Version) -> Version:
        """Find a version; one that a pointer names has the hash from the time when the pointer moved to it."""
        if isinstance(which, Version):
            return which
        if which in (CURRENT, CANDIDATE):
            if (version := self.pointers(name).named(which)) is None:
                msg = f"the model {name!r} has no {which} version: recloop models {_MOVES[which]} {name} VERSION"
                raise RegistryMissingError(msg)
            return version
        return Version(which, hashlib.sha256(self._manifest(name, which)).hexdigest())

    def manifest(self, name: str, which: str | Version) -> Manifest:
        """Read the manifest of a version.

        Raises:
            BundleError: its manifest cannot be understood, has changed, or is of another contract.
        """
        return self._files(name, self.find(name, which)).manifest

    def register(self, bundle: Path, name: str | None = None, *, least_recall: float = LEAST_RECALL) -> Version:
        """Copy a bundle into the registry; no pointer moves.

        Registering the same bundle again changes nothing, except that it repairs missing or changed files.

        Args:
            bundle: its folder; checked before anything is written.
            name: name of the model; the bundle's own by default.
            least_recall: share of the ten best items that it has to find, if it scores a part of all items only.

        Raises:
            BundleError: it is missing, corrupt or of another contract, finds too few, or it fails its trial.
            VersionTakenError: the version is there with other content.
        """
        loaded = Bundle.load(bundle)
        refuse_recall(loaded.manifest, least_recall)
        try_bundle(loaded)
        files = BundleFiles.of_folder(bundle)
        name = _plain(name or files.manifest.name)
        version = Version(_plain_version(files.manifest.version), files.hash)
        with self._store.lock(name):
            self._write(name, version, files)
        return version

    def offer(self, bundle: Path, name: str | None = None) -> tuple[Version, Pointers]:
        """Register a bundle and make it the candidate, or current if the model has none; raise as `register` does."""
        version = self.register(bundle, name)
        name = name or BundleFiles.of_folder(bundle).manifest.name
        return version, self._move(name, lambda now: now.offered(version))

    def promote(self, name: str, version: str | None = None, *, in_place_of: Version | None = None) -> Pointers:
        """Make a version current, the candidate by default.

        Args:
            name: name of the model.
            version: its id.
            in_place_of: the version that has to be current now, unless `version` is already; None is any.

        Raises:
            BundleError: it is not whole, of another contract, or fails its trial.
            RegistryMoveError: another version than `in_place_of` is current by now.
        """

        def promoted(now: Pointers) -> Pointers:
            found = self.find(name, version or CANDIDATE)
            return now if now.current == found else now.checked(in_place_of).promoted(found)

        return self._move(name, promoted)

    def set_candidate(self, name: str, version: str | None) -> Pointers:
        """Make a version the candidate, or leave the model without one.

        Raises:
            BundleError: it is not whole, of another contract, or fails its trial.
            RegistryMoveError: it is current.
        """
        return self._move(name, lambda now: now.with_candidate(None if version is None else self.find(name, version)))

    def rollback(self, name: str, *, of: Version | None = None) -> Pointers:
        """Make the version current that was so before the last promotion; each further call goes one step back.

        Args:
            name: name of the model.
            of: the version that has to be current now; None is any.

        Raises:
            BundleError: it is no longer whole, of another contract, or fails its trial.
            RegistryMissingError: no version was current before.
            RegistryMoveError: another version than `of` is current by now.
        """
        return self._move(name, lambda now: now.checked(of).rolled_back())

    def remove(self, name: str, version: str) -> None:
        """Remove a version that no pointer names, its manifest first, so that nobody finds a part of it.

        Raises:
            BundleError: its manifest cannot be understood, so its files are not known.
            RegistryMoveError: it is current, the candidate, or was current before.
        """
        files = self.manifest(name, version).files
        with self._store.lock(name):
            if version in {each.id for each in self.pointers(name).every}:
                msg = f"version {version} of {name} is pointed at, or was current before, so it stays"
                raise RegistryMoveError(msg)
            for file in (MANIFEST, *files):
                self._store.remove(f"{_plain(name)}/{_plain_version(version)}/{file}")

    def fetch(self, name: str, which: str | Version, cache: Path) -> Path:
        """Return a local folder with the bundle, copied into `cache` unless it is there; see `bundle_cache`.

        Args:
            name: name of the model.
            which: a version. For a `Version` in the cache the registry is not read, so it may be unavailable.
            cache: the folder of cached bundles; each is in a folder named by its hash.

        Raises:
            BundleError: the bundle in the registry is not whole, not the one pointed at, or of another contract.
        """
        version = self.find(name, which)
        return cached(cache, version.hash, lambda: self._files(name, version))

    def _write(self, name: str, version: Version, files: BundleFiles) -> None:
        folder = f"{name}/{version.id}"
        there = self._read_if_there(f"{folder}/{MANIFEST}")
        if there is not None and hashlib.sha256(there).hexdigest() != version.hash:
            msg = (
                f"{self.place}/{folder} is there already with other content, and a version is immutable; "
                "train again, which makes a new version"
            )
            raise VersionTakenError(msg)
        written: list[str] = []
        try:
            for file, content in files:
                if self._read_if_there(f"{folder}/{file}") != content:
                    written.append(f"{folder}/{file}")
                    self._store.write(written[-1], content)
        except BaseException:
            for path in written if there is None else ():
                with suppress(RegistryAccessError):
                    self._store.remove(path)
            raise

    def _move(self, name: str, change: Callable[[Pointers], Pointers]) -> Pointers:
        self.versions(name)  # raises for an unknown name, so that the lock makes no folder for it
        with self._store.lock(name):
            now = self.pointers(name)
            if (moved := change(now)) != now:
                self._check_new(name, now, moved)
                self._store.write(f"{name}/{POINTERS}", msgspec.json.format(msgspec.json.encode(moved)) + b"\n")
        return moved

    def _check_new(self, name: str, before: Pointers, after: Pointers) -> None:
        for old, new in ((before.current, after.current), (before.candidate, after.candidate)):
            if new is not None and new != old:
                try_files(self._files(name, new))

    def _bundles(self, name_pattern: str) -> list[tuple[str, str]]:
        """Return (model, version) of every bundle."""
        found = (tuple(path.split("/")) for path in self._store.glob(f"{name_pattern}/*/{MANIFEST}"))
        return [(name, version) for name, version, _ in found if _PLAIN(name) and _PLAIN(version)]

    def _files(self, name: str, version: Version) -> BundleFiles:
        folder = f"{_plain(name)}/{_plain_version(version.id)}"
        files = BundleFiles(f"{self.place}/{folder}", lambda file: self._store.read(f"{folder}/{file}"))
        if files.hash != version.hash:
            msg = f"{self.place}/{folder} is not what was registered: its manifest changed; do not use it"
            raise BundleCorruptError(msg)
        return files

    def _manifest(self, name: str, version: str) -> bytes:
        try:
            return self._store.read(f"{_plain(name)}/{_plain_version(version)}/{MANIFEST}")
        except FileNotFoundError as error:
            msg = f"the model {name!r} has no version {version!r}; it has {', '.join(self.versions(name))}"
            raise RegistryMissingError(msg) from error

    def _read_if_there(self, path: str) -> bytes | None:
        try:
            return self._store.read(path)
        except FileNotFoundError:
            return None


def _plain(name: str) -> str:
    if not _PLAIN(name):
        msg = f"{name!r} cannot name a model or version: take letters, digits and . _ + -, a letter or digit first"
        raise RegistryNameError(msg)
    return name


def _plain_version(version: str) -> str:
    if version in (CURRENT, CANDIDATE, POINTERS):
        msg = f"{version!r} stands for a pointer, so it cannot be a version"
        raise RegistryNameError(msg)
    return _plain(version)
