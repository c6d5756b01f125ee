"""The sources of a bundle: a folder on every TaskManager, or a registry, each with a cache on this machine's disk.

The module imports neither Flink nor torch. If a registry is unavailable, or names a version that does not load, the
version that this machine served last is loaded: its bundle is in the cache, with its version in a file beside it.
"""

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import msgspec

from model.bundles.bundle import Bundle
from model.bundles.bundle_cache import SERVED, cached, hold
from model.bundles.bundle_files import BundleFiles
from model.errors import RecloopError
from model.files import replace_file
from model.registry.errors import RegistryMissingError
from model.registry.pointers import CANDIDATE, CURRENT, Pointers, Version
from model.registry.registry import Registry

_log = logging.getLogger(__name__)
_Loaded = TypeVar("_Loaded")


class BundleChangedError(RecloopError):
    """A folder with another bundle than the job was deployed with: deploy again."""


@dataclass(frozen=True, slots=True)
class FromFolder:
    """A bundle in a folder.

    Attributes:
        folder: the bundle's folder, on every TaskManager that needs it.
        bundle_hash: the hash that the bundle must have; None takes any bundle.
        cache: the folder of cached bundles, on this machine. Once a bundle with that hash is in it, `folder` may hold
            another one, as after the next training.
    """

    folder: Path
    bundle_hash: str | None = None
    cache: Path | None = field(default=None, compare=False)

    def load_first(self, load: Callable[[Bundle], _Loaded]) -> _Loaded:
        """Load the bundle, and return the result of `load`.

        Raises:
            BundleError: it is not whole.
            BundleChangedError: it is not the one that the job was deployed with.
        """
        return load(Bundle.load(self._cached() or self._as_deployed(self.folder)))

    def _cached(self) -> Path | None:
        """Return the bundle's folder in the cache, copied there if missing; None without a hash or a usable cache."""
        if self.cache is None or self.bundle_hash is None:
            return None
        try:
            folder = cached(self.cache, self.bundle_hash, lambda: BundleFiles.of_folder(self._as_deployed(self.folder)))
        except OSError as error:
            _log.warning("%s cannot be copied into %s: %s", self.folder, self.cache, error)
            return None
        hold(folder)
        return folder

    def _as_deployed(self, folder: Path) -> Path:
        """Return the folder, or raise BundleChangedError if it holds another bundle than the job was deployed with."""
        found = BundleFiles.of_folder(folder).hash
        if self.bundle_hash not in {None, found}:
            msg = (
                f"{folder} has hash {found[:12]}, the job was deployed with {str(self.bundle_hash)[:12]}, of which "
                "this machine has no copy: deploy again"
            )
            raise BundleChangedError(msg)
        return folder


@dataclass(frozen=True, slots=True)
class FromRegistry:
    """A version of a model in a registry, or the version that a pointer names.

    Attributes:
        url: the registry, or the place of its URL (`model/registry/urls.py`).
        name: the model.
        which: CURRENT, CANDIDATE or a version's id.
        cache: the folder of cached bundles, on this machine.
        bundle_hash: the hash that a version must have; None takes the registry's. Pointers ignore it.
    """

    url: str = field(repr=False)
    name: str
    which: str
    cache: Path
    bundle_hash: str | None = None

    @property
    def follows(self) -> bool:
        """Return true if `which` is a pointer, which may move."""
        return self.which in (CURRENT, CANDIDATE)

    def named_by(self, pointers: Pointers) -> Version | None:
        """Return the version to serve by the pointers; without a candidate it is `current`.

        So a promoted candidate is still served to its variant, and a withdrawn one to nobody.
        """
        return pointers.named(self.which) or pointers.current

    def wanted(self) -> Version:
        """Return the version to serve now.

        Raises:
            RegistryError: the registry cannot be read, or has no such version.
        """
        if not self.follows and self.bundle_hash is not None:
            return Version(self.which, self.bundle_hash)
        registry = Registry(self.url)
        if not self.follows:
            return registry.find(self.name, self.which)
        return self.named_by(registry.pointers(self.name)) or registry.find(self.name, self.which)

    def fetch(self, version: Version) -> Bundle:
        """Load a version from the cache, after copying it there if it is missing.

        Raises:
            BundleError: the bundle is not whole.
            RegistryError: it is not in the cache, and the registry cannot be read.
        """
        folder = Registry(self.url).fetch(self.name, version, self.cache)
        if not self.follows:  # a followed version is kept by `remember` instead
            hold(folder)
        return Bundle.load(folder)

    def load_first(self, load: Callable[[Bundle], _Loaded]) -> _Loaded:
        """Load the version to serve now, or else the one that this machine served last; return the result of `load`.

        Raises:
            RegistryError: the registry names no version, and none that loads was served here.
            BundleError: the version is not whole, and no other that loads was served here.
        """
        problems: list[Exception] = []
        tried: list[Version] = []
        for ask in (self.wanted, self._served_last):
            try:
                if (version := ask()) not in tried:
                    tried.append(version)
                    return load(self.fetch(version))
            except Exception as error:  # whatever the fault of one version is, the other may load
                problems.append(error)
                _log.warning("%s of the model %s does not load: %s", self.which, self.name, error)
        raise problems[0]

    def remember(self, version: Version) -> None:
        """Write the served version down, for a start when the registry is away or names one that does not load."""
        self.cache.mkdir(parents=True, exist_ok=True)
        replace_file(self._memory, msgspec.json.encode(version), many_writers=True)

    def _served_last(self) -> Version:
        try:
            return msgspec.json.decode(self._memory.read_bytes(), type=Version)
        except (OSError, msgspec.DecodeError) as error:
            msg = f"nothing is known in {self.cache} of what was served of {self.name} before"
            raise RegistryMissingError(msg) from error

    @property
    def _memory(self) -> Path:
        key = hashlib.sha256("\0".join((self.url, self.name, self.which)).encode()).hexdigest()
        return self.cache / SERVED.replace("*", key[:16])


BundleSource = FromFolder | FromRegistry
