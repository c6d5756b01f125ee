"""The pointers to a model's versions to serve: `current`, `candidate`, and the former current versions.

They are pure values: a move returns new pointers. `model.registry.registry` keeps them in one small JSON file.
"""

from dataclasses import dataclass, replace
from typing import Annotated

import msgspec

from model.registry.errors import RegistryMissingError, RegistryMoveError

CURRENT = "current"
CANDIDATE = "candidate"
PREVIOUS_LIMIT = 50
"""The most rollbacks possible in a row; the oldest version is dropped beyond it."""

_Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
"""A sha256 in hex; checked when it is decoded, since it becomes the name of a folder."""


@dataclass(frozen=True, slots=True)
class Version:
    """A bundle in the registry.

    Attributes:
        id: the version, as the bundle's manifest has it.
        hash: the bundle's hash, which covers every file.
    """

    id: str
    hash: _Sha256


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointers:
    """The versions of one model to serve.

    Attributes:
        revision: rises by one with every move; 0 before the first.
        current: the version served to everyone.
        candidate: the version that may become current; never the current one.
        previous: former current versions, newest last; a rollback returns to the last.
    """

    revision: int = 0
    current: Version | None = None
    candidate: Version | None = None
    previous: tuple[Version, ...] = ()

    @property
    def every(self) -> tuple[Version, ...]:
        """All versions that are named, those that a rollback would return to as well."""
        return tuple(each for each in (*self.previous, self.current, self.candidate) if each is not None)

    def named(self, pointer: str) -> Version | None:
        """Return the version at CURRENT or CANDIDATE."""
        return self.current if pointer == CURRENT else self.candidate

    def name_of(self, version: Version) -> str | None:
        """Return CURRENT or CANDIDATE if one of them points at the version, else None."""
        return {self.current: CURRENT, self.candidate: CANDIDATE}.get(version)

    def checked(self, expected: Version | None) -> "Pointers":
        """Return the same pointers, if the expected version is current, or if None is expected.

        Raises:
            RegistryMoveError: it is not.
        """
        if expected in (None, self.current):
            return self
        current = "no version" if self.current is None else f"version {self.current.id}"
        msg = f"{current} is current by now, not {expected and expected.id}: somebody else moved it, so it stays"
        raise RegistryMoveError(msg)

    def promoted(self, version: Version) -> "Pointers":
        """Return the pointers with a version made current; a rollback returns to the one that it replaces."""
        if version == self.current:
            return self
        left = () if self.current is None else (self.current,)
        return self._moved(current=version, previous=(*self.previous, *left)[-PREVIOUS_LIMIT:])

    def with_candidate(self, version: Version | None) -> "Pointers":
        """Return the pointers with a version, or none, as the candidate.

        Raises:
            RegistryMoveError: it is current.
        """
        if version is not None and version == self.current:
            msg = f"version {version.id} is current already, so it cannot be the candidate"
            raise RegistryMoveError(msg)
        return self if version == self.candidate else replace(self, candidate=version, revision=self.revision + 1)

    def offered(self, version: Version) -> "Pointers":
        """Return the pointers with a version as the candidate, or as current if there is no current one."""
        if self.current is None or version == self.current:
            return self.promoted(version)
        return self.with_candidate(version)

    def rolled_back(self) -> "Pointers":
        """Return the pointers with the version current again that was current before the last promotion.

        Raises:
            RegistryMissingError: no version was current before.
        """
        if not self.previous:
            msg = "nothing was current before, so there is nothing to roll back to"
            raise RegistryMissingError(msg)
        return self._moved(current=self.previous[-1], previous=self.previous[:-1])

    def _moved(self, current: Version, previous: tuple[Version, ...]) -> "Pointers":
        candidate = None if self.candidate == current else self.candidate
        return Pointers(revision=self.revision + 1, current=current, candidate=candidate, previous=previous)
