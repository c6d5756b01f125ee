"""A thing that nothing needs: what it is, where, how large, why it may go, and how it goes."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class GarbageKind(StrEnum):
    """The kind of thing that is removed."""

    CHECKPOINTS = "checkpoints"
    SAVEPOINT = "savepoint"
    DEPLOYMENT = "deployment"
    TABLE_FILE = "table file"
    VERSION = "model version"
    CACHED_BUNDLE = "cached bundle"


@dataclass(frozen=True, slots=True)
class Garbage:
    """A thing that nothing needs.

    Attributes:
        kind: what it is.
        place: its path, URI or name.
        size_bytes: its size; None if this machine does not see it.
        reason: why nothing needs it.
        remove: removes it, after another check that nothing needs it by now.
    """

    kind: GarbageKind
    place: str
    size_bytes: int | None
    reason: str
    remove: Callable[[], None]
