"""From tracked behaviours to the model's tensors, and from its answer to candidates.

The one place that maps items to a bundle's own vocabulary: items it does not know are skipped. A batch is mapped as
a whole, in arrays: one by one it took as long as the model.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from model.bundle import Bundle, load_module
from udfs.device import Runner, open_device
from udfs.elements import Candidates, TrackedBehavior
from udfs.hash_index import HashIndex, Ints
from udfs.hashing import HASH_TYPECODE, id_hash
from udfs.profile import TIME_TYPECODE
from udfs.scoring_rules import DeviceRules, ScoringRules

Floats = npt.NDArray[np.float32]
_REASON_ITEMS = 5
"""How many of the newest history items may be given as the reason for a candidate."""
_EXCLUDE_STEP = 64
"""`exclude` is padded to a multiple of this: few shapes, so that TorchScript specialises seldom."""


class _Items(NamedTuple):
    """Known items of several behaviours, behaviour by behaviour.

    Attributes:
        row: whose, rising. (N,).
        item: model indexes. (N,).
        place: where they stood among all items, unknown ones included. (N,).
    """

    row: Ints
    item: Ints
    place: Ints


class Scorer:
    """A loaded bundle, ready to score batches; calls may come from several threads at a time."""

    def __init__(self, bundle: Bundle, rules: ScoringRules, device: Runner | None = None) -> None:
        self._bundle = bundle
        self._rules = rules
        self._device = device or open_device(DeviceRules())
        self._module = load_module(bundle, self._device.name)
        self._length = bundle.manifest.history_length
        self._known = HashIndex([id_hash(item) for item in bundle.vocabulary])
        self._names = np.array([None, *bundle.vocabulary], dtype=object)
        withdrawn = [bundle.index_of[item] for item in rules.withdrawn if item in bundle.index_of]
        self._withdrawn = np.array(withdrawn, dtype=np.int64)
        self._weights = np.zeros(256, dtype=np.float32)
        for action in rules.actions.values():
            self._weights[action.code] = action.weight
        self._near_disliked = lru_cache(maxsize=4_096)(self._find_near_disliked)

    def warm_up(self, batch_size: int) -> None:
        """Runs empty histories through the model, so that no user waits for its specialisation."""
        for size in (1, batch_size, 1, batch_size):
            history = np.zeros((size, self._length), dtype=np.int64)
            zeros = np.zeros((size, self._length), dtype=np.float32)
            self._call(history, zeros, zeros, np.zeros((size, _EXCLUDE_STEP), dtype=np.int64))

    def score(self, tracked: Sequence[TrackedBehavior]) -> list[Candidates]:
        """Each history's candidates, best first, none of them excluded."""
        rows = self._rules.fixed_batch or len(tracked)
        known = self._items([behavior.history for behavior in tracked])
        history, weight, age_s = self._histories(tracked, known, rows)
        items, scores = self._call(history, weight, age_s, self._exclude(tracked, known, rows))
        return self._candidates(history[: len(tracked)], items[: len(tracked)], scores)

    def disliked_neighbors(self, tracked: TrackedBehavior) -> bytes:
        """Packed hashes of the neighbours of the newest dislikes."""
        if not tracked.disliked:
            return b""
        return self._known.hashes_of(self._near_disliked(tracked.disliked)).tobytes()

    def _find_near_disliked(self, disliked: bytes) -> Ints:
        """Model indexes; a user's dislikes stay the same over many behaviours."""
        indexes = self._known.find(np.frombuffer(disliked, np.int64))
        near = self._bundle.neighbors[indexes[indexes > 0], : self._rules.neighbors_of_disliked].ravel()
        return near[near > 0].astype(np.int64)

    def _items(self, packed: Sequence[bytes]) -> _Items:
        """The known ones among the packed hashes of each behaviour."""
        found = self._known.find(np.frombuffer(b"".join(packed), np.int64))
        row = np.repeat(np.arange(len(packed)), [len(each) // 8 for each in packed])
        (place,) = found.nonzero()
        return _Items(row[place], found[place], place)

    def _histories(self, tracked: Sequence[TrackedBehavior], known: _Items, rows: int) -> tuple[Ints, Floats, Floats]:
        """The newest L known items of each, their weights and ages; padded on the left. (rows, L) each."""
        counts = np.bincount(known.row, minlength=rows)
        column = self._length - np.cumsum(counts)[known.row] + np.arange(len(known.row))
        kept = column >= 0
        at = known.row[kept], column[kept]
        place = known.place[kept]
        history = np.zeros((rows, self._length), dtype=np.int64)
        weight, age_s = (np.zeros((rows, self._length), dtype=np.float32) for _ in range(2))
        history[at] = known.item[kept]
        weight[at] = self._weights[_joined([each.actions for each in tracked], "B")[place]]
        now_s = np.array([each.behavior.timestamp // 1000 for each in tracked], dtype=np.int64)
        times = _joined([each.times for each in tracked], TIME_TYPECODE)[place]
        age_s[at] = np.maximum(now_s[at[0]] - times, 0)
        return history, weight, age_s

    def _exclude(self, tracked: Sequence[TrackedBehavior], known: _Items, rows: int) -> Ints:
        """What each may not be shown, 0 padded. (rows, E)."""
        parts = [self._items([behavior.excluded for behavior in tracked])]
        if self._rules.exclude_seen:
            parts.append(known)
        if any(behavior.disliked for behavior in tracked):
            near = [self._near_disliked(behavior.disliked) for behavior in tracked]
            row = np.repeat(np.arange(len(near)), [len(each) for each in near])
            parts.append(_Items(row, np.concatenate(near), row))
        counts = [np.bincount(part.row, minlength=rows) for part in parts]
        widest = len(self._withdrawn) + max(np.sum(counts, axis=0), default=0)
        exclude = np.zeros((rows, max(1, -(-widest // _EXCLUDE_STEP)) * _EXCLUDE_STEP), dtype=np.int64)
        exclude[:, : len(self._withdrawn)] = self._withdrawn
        begins = np.full(rows, len(self._withdrawn))
        for part, count in zip(parts, counts, strict=True):
            first = np.cumsum(count) - count
            exclude[part.row, (begins - first)[part.row] + np.arange(len(part.row))] = part.item
            begins += count
        return exclude

    def _call(self, *inputs: npt.NDArray[np.generic]) -> tuple[Ints, Floats]:
        """The best items and their scores. (rows, K) each."""
        items, scores = self._device.run(self._module, *inputs)
        best = slice(self._rules.candidates)
        return items[:, best], scores[:, best]

    def _candidates(self, history: Ints, items: Ints, scores: Floats) -> list[Candidates]:
        names, because = self._names[items].tolist(), self._names[self._reasons(history, items)].tolist()
        counts = (items > 0).sum(1).tolist()
        return [
            Candidates(names[row][:count], scores[row, :count].tobytes(), because[row][:count])
            for row, count in enumerate(counts)
        ]

    def _reasons(self, history: Ints, items: Ints) -> Ints:
        """For each item the newest of the last history items whose near neighbour it is, or 0. (B, K)."""
        because = np.zeros_like(items)
        for recent in history[:, -_REASON_ITEMS:].T:  # the oldest first
            near = self._bundle.neighbors[recent]  # (B, M)
            is_near = (near[:, None, :] == items[:, :, None]).any(2)  # (B, K)
            because = np.where(is_near, recent[:, None], because)
        return because


def _joined(packed: Sequence[bytes], typecode: str) -> npt.NDArray[Any]:
    return np.frombuffer(b"".join(packed), typecode)


assert HASH_TYPECODE == "q", "hashes are int64 in numpy as well"
