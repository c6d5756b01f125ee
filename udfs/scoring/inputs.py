"""The model's input tensors, made of tracked behaviours.

This is the one place that maps items to a bundle's own vocabulary: items it does not know are skipped. A batch is
mapped as a whole, in arrays: one by one it took as long as the model.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from model.bundles.bundle import Bundle
from udfs.elements import TrackedBehavior
from udfs.hashing import HASH_TYPECODE, id_hash
from udfs.scoring.hash_index import HashIndex, Ints
from udfs.scoring.scoring_rules import ScoringRules
from udfs.users.profile import TIME_TYPECODE

Floats = npt.NDArray[np.float32]
EXCLUDE_STEP = 64
"""`exclude` is padded to a multiple of this: few shapes, so that TorchScript specialises seldom."""


class KnownItems(NamedTuple):
    """The known items of several behaviours, behaviour by behaviour.

    Attributes:
        row: the behaviour of each, rising. (N,).
        item: model indexes. (N,).
        place: the index of each among all items, unknown ones included. (N,).
    """

    row: Ints
    item: Ints
    place: Ints


class ModelInputs:
    """A maker of one bundle's input tensors, as `model.networks.recommender` defines them."""

    def __init__(self, bundle: Bundle, rules: ScoringRules) -> None:
        self._bundle = bundle
        self._rules = rules
        self.length = bundle.manifest.history_length
        self._known = HashIndex([id_hash(item) for item in bundle.vocabulary])
        withdrawn = [bundle.index_of[item] for item in rules.withdrawn if item in bundle.index_of]
        self._withdrawn = np.array(withdrawn, dtype=np.int64)
        self._weights = np.zeros(256, dtype=np.float32)
        for action in rules.actions.values():
            self._weights[action.code] = action.weight
        self._near_disliked = lru_cache(maxsize=4_096)(self._find_near_disliked)

    def disliked_neighbors(self, disliked: bytes) -> bytes:
        """Return packed hashes of the neighbours of these disliked items, which come as packed hashes."""
        if not disliked:
            return b""
        return self._known.hashes_of(self._near_disliked(disliked)).tobytes()

    def _find_near_disliked(self, disliked: bytes) -> Ints:
        """Return the neighbours' model indexes; cached, as a user's dislikes stay the same over many behaviours."""
        indexes = self._known.find(np.frombuffer(disliked, np.int64))
        near = self._bundle.neighbors[indexes[indexes > 0], : self._rules.neighbors_of_disliked].ravel()
        return near[near > 0].astype(np.int64)

    def known(self, packed: Sequence[bytes]) -> KnownItems:
        """Return the known items among the packed hashes of each behaviour."""
        found = self._known.find(np.frombuffer(b"".join(packed), np.int64))
        row = np.repeat(np.arange(len(packed)), [len(each) // 8 for each in packed])
        (place,) = found.nonzero()
        return KnownItems(row=row[place], item=found[place], place=place)

    def histories(
        self, tracked: Sequence[TrackedBehavior], known: KnownItems, rows: int
    ) -> tuple[Ints, Floats, Floats]:
        """Return each behaviour's newest L known items, their weights and ages, left-padded. (rows, L) each."""
        counts = np.bincount(known.row, minlength=rows)
        # `cumsum` is the number of items up to a row's last one, which gets column L - 1. Columns below 0 are of items
        # older than the newest L.
        column = self.length - np.cumsum(counts)[known.row] + np.arange(len(known.row))
        kept = column >= 0
        at = known.row[kept], column[kept]
        place = known.place[kept]
        history = np.zeros((rows, self.length), dtype=np.int64)
        weight, age_s = (np.zeros((rows, self.length), dtype=np.float32) for _ in range(2))
        history[at] = known.item[kept]
        weight[at] = self.weights([each.actions for each in tracked])[place]
        now_s = np.array([each.behavior.timestamp // 1000 for each in tracked], dtype=np.int64)
        times = _joined([each.times for each in tracked], TIME_TYPECODE)[place]
        age_s[at] = np.maximum(now_s[at[0]] - times, 0)
        return history, weight, age_s

    def weights(self, actions: Sequence[bytes]) -> Floats:
        """Return the weights of all the action codes, joined."""
        found: Floats = self._weights[_joined(actions, "B")]
        return found

    def exclude(self, tracked: Sequence[TrackedBehavior], histories: Sequence[KnownItems], rows: int) -> Ints:
        """Return the items that must not be shown after each behaviour, 0 padded. (rows, E).

        Args:
            tracked: the behaviours.
            histories: the known items of their histories, in one part or several.
            rows: at least as many as there are behaviours.
        """
        # Each part is in the order of the rows, but has items of any rows; one item may be in several parts.
        parts = [self.known([behavior.excluded for behavior in tracked])]
        if self._rules.exclude_seen:
            parts += histories
        if any(behavior.disliked for behavior in tracked):
            near = [self._near_disliked(behavior.disliked) for behavior in tracked]
            row = np.repeat(np.arange(len(near)), [len(each) for each in near])
            parts.append(KnownItems(row=row, item=np.concatenate(near), place=row))  # nobody reads their places
        counts = [np.bincount(part.row, minlength=rows) for part in parts]
        widest = len(self._withdrawn) + max(np.sum(counts, axis=0), default=0)
        exclude = np.zeros((rows, max(1, -(-widest // EXCLUDE_STEP)) * EXCLUDE_STEP), dtype=np.int64)
        exclude[:, : len(self._withdrawn)] = self._withdrawn
        # In each row a part's items stand behind those of the parts before; `begins` is the column where they start.
        # `first` is the place in the part of the row's first item, so an item's column is `begins` and its distance
        # from that.
        begins = np.full(rows, len(self._withdrawn))
        for part, count in zip(parts, counts, strict=True):
            first = np.cumsum(count) - count
            exclude[part.row, (begins - first)[part.row] + np.arange(len(part.row))] = part.item
            begins += count
        return exclude


def used_columns(history: Ints) -> slice:
    """Return the columns from the first used one on, so that short histories cost no more than they have to. (B, L).

    There is always one column: some models do not take a history without any.
    """
    used = history.any(0)
    return slice(int(used.argmax()) if used.any() else max(0, len(used) - 1), None)


def _joined(packed: Sequence[bytes], typecode: str) -> npt.NDArray[Any]:
    return np.frombuffer(b"".join(packed), typecode)


assert HASH_TYPECODE == "q", "hashes are int64 in numpy as well"
