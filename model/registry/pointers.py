"""Which versions of a model are to be served: `current`, `candidate`, and what was current before.

Pure values: a move gives new pointers. `model.registry.registry` keeps them in one small JSON file.
"""

from dataclasses import dataclass, replace
from typing import Annotated

import msgspec

from model.registry.errors import RegistryMissingError, RegistryMoveError

CURRENT = "current"
CANDIDATE = "candidate"
PREVIOUS_LIMIT = 50
"""Rollbacks that are possible in a row; beyond it the oldest goes."""

Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
"""In hex; checked where it is decoded, since it becomes the name of a folder."""


@dataclass(frozen=True, slots=True)
class Version:
    """A bundle in the registry.

    Attributes:
        id: the version, as the bundle's manifest has it.
        hash: the bundle's, which covers every file.
    """

    id: str
    hash: Sha256


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointers:
    """What is to be served of one model.

    Attributes:
        revision: rises by one with every move; 0 before the first.
        current: what everyone is served.
        candidate: what may become current; never the same version.
        previous: what was current before, newest last: where rollbacks go.
    """

    revision: int = 0
    current: Version | None = None
    candidate: Version | None = None
    previous: tuple[Version, ...] = ()

    def named(self, pointer: str) -> Version | None:
        """Where CURRENT or CANDIDATE points."""
        return self.current if pointer == CURRENT else self.candidate

    def name_of(self, version: Version) -> str | None:
        """CURRENT or CANDIDATE, if one of them points at it."""
        return {self.current: CURRENT, self.candidate: CANDIDATE}.get(version)

    def promoted(self, version: Version) -> "Pointers":
        """That version is current; what was it before is where a rollback goes."""
        if version == self.current:
            return self
        left = () if self.current is None else (self.current,)
        return self._moved(current=version, previous=(*self.previous, *left)[-PREVIOUS_LIMIT:])

    def with_candidate(self, version: Version | None) -> "Pointers":
        """That version is the candidate, or none is.

        Raises:
            RegistryMoveError: it is current.
        """
        if version is not None and version == self.current:
            msg = f"version {version.id} is current already, so it cannot be the candidate"
            raise RegistryMoveError(msg)
        return self if version == self.candidate else replace(self, candidate=version, revision=self.revision + 1)

    def offered(self, version: Version) -> "Pointers":
        """That version is the candidate, or current where nothing is."""
        if self.current is None or version == self.current:
            return self.promoted(version)
        return self.with_candidate(version)

    def rolled_back(self) -> "Pointers":
        """What was current before the last promotion is current again.

        Raises:
            RegistryMissingError: nothing was.
        """
        if not self.previous:
            msg = "nothing was current before, so there is nothing to roll back to"
            raise RegistryMissingError(msg)
        return self._moved(current=self.previous[-1], previous=self.previous[:-1])

    def _moved(self, current: Version, previous: tuple[Version, ...]) -> "Pointers":
        candidate = None if self.candidate == current else self.candidate
        return Pointers(revision=self.revision + 1, current=current, candidate=candidate, previous=previous)
