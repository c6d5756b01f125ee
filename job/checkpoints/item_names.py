"""The ids of items whose hashes a profile holds, as far as the same checkpoint, or a model's bundle, holds the ids."""

from collections.abc import Iterable

from job.checkpoints.checkpoint import Checkpoint
from udfs.hashing import id_hash


class ItemNames:
    """A translation of hashes to ids; an unknown hash becomes `#` and its sixteen digits."""

    def __init__(self, item_ids: Iterable[str] = ()) -> None:
        self._ids: dict[int, str] = {}
        self.add(item_ids)

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> "ItemNames":
        """Return the names of the items whose trends the checkpoint has: with the defaults the newest 5,000."""
        return cls(item for item, _ in checkpoint.trends())

    def add(self, item_ids: Iterable[str]) -> None:
        """Add more items."""
        self._ids.update((id_hash(item), item) for item in item_ids)

    def __call__(self, item: int) -> str:
        """Return the id of a hash."""
        return self._ids.get(item) or f"#{item & 0xFFFF_FFFF_FFFF_FFFF:016x}"

    def all(self, hashes: Iterable[int]) -> list[str]:
        """Return the ids of several hashes, in their order."""
        return [self(each) for each in hashes]
