"""From tracked behaviours to the model's tensors, and from its answer to candidates.

The one place that maps item ids to a bundle's own vocabulary: items it does not know are skipped.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import torch

from model.bundle import Bundle, load_module
from udfs.elements import Candidate, TrackedBehavior
from udfs.hashing import HASH_TYPECODE, id_hash, unpack
from udfs.scoring_rules import ScoringRules

_REASON_ITEMS = 5
"""How many of the newest history items may be given as the reason for a candidate."""
_EXCLUDE_STEP = 64
"""`exclude` is padded to a multiple of this: few shapes, so that TorchScript specialises seldom."""


class Scorer:
    """A loaded bundle, ready to score batches; calls may come from any one thread at a time."""

    def __init__(self, bundle: Bundle, rules: ScoringRules, device: str = "cpu") -> None:
        self._bundle = bundle
        self._rules = rules
        self._device = device
        self._module = load_module(bundle, device)
        self._length = bundle.manifest.history_length
        self._hashes = np.array([0, *map(id_hash, bundle.vocabulary)], dtype=np.int64)
        self._index_of_hash = {item: index for index, item in enumerate(self._hashes.tolist()) if index}
        self._withdrawn = [bundle.index_of[item] for item in rules.withdrawn if item in bundle.index_of]
        self._weights = np.zeros(256, dtype=np.float32)
        for action in rules.actions.values():
            self._weights[action.code] = action.weight

    def warm_up(self, batch_size: int) -> None:
        """Runs empty histories through the model, so that no user waits for its specialisation."""
        for size in (1, batch_size, 1, batch_size):
            history = torch.zeros((size, self._length), dtype=torch.int64, device=self._device)
            zeros = torch.zeros((size, self._length), dtype=torch.float32, device=self._device)
            exclude = torch.zeros((size, _EXCLUDE_STEP), dtype=torch.int64, device=self._device)
            with torch.inference_mode():
                self._module(history, zeros, zeros, exclude)

    def score(self, tracked: Sequence[TrackedBehavior]) -> list[list[Candidate]]:
        """Each history's candidates, best first, none of them excluded."""
        rows = self._rules.fixed_batch or len(tracked)
        known = [self._known(behavior) for behavior in tracked]
        history = np.zeros((rows, self._length), dtype=np.int64)
        weight = np.zeros((rows, self._length), dtype=np.float32)
        age_s = np.zeros((rows, self._length), dtype=np.float32)
        for row, (behavior, (indexes, places)) in enumerate(zip(tracked, known, strict=True)):
            if used := min(len(indexes), self._length):
                kept = places[-used:]
                history[row, -used:] = indexes[-used:]
                weight[row, -used:] = self._weights[np.frombuffer(behavior.actions, np.uint8)[kept]]
                times = np.array(behavior.times, dtype=np.int64)[kept]
                age_s[row, -used:] = np.maximum(behavior.behavior.timestamp - times, 0) / 1000
        exclude = self._exclude(tracked, known, rows)
        items, scores = self._call(history, weight, age_s, exclude)
        return [self._candidates(items[row], scores[row], indexes) for row, (indexes, _) in enumerate(known)]

    def disliked_neighbors(self, tracked: TrackedBehavior) -> bytes:
        """Packed hashes of the neighbours of the newest dislikes."""
        if not tracked.disliked:
            return b""
        return self._hashes[self._neighbors_of_disliked(tracked)].tobytes()

    def _known(self, tracked: TrackedBehavior) -> tuple[list[int], list[int]]:
        """Of the history's known items the model's indexes, and their places in the history."""
        index_of = self._bundle.index_of
        pairs = [(index_of[item], place) for place, item in enumerate(tracked.history) if item in index_of]
        return [index for index, _ in pairs], [place for _, place in pairs]

    def _neighbors_of_disliked(self, tracked: TrackedBehavior) -> list[int]:
        index_of = self._index_of_hash
        disliked = [index_of[item] for item in unpack(tracked.disliked) if item in index_of]
        near = self._bundle.neighbors[disliked, : self._rules.neighbors_of_disliked]
        return [index for index in near.ravel().tolist() if index]

    def _exclude(
        self, tracked: Sequence[TrackedBehavior], known: Iterable[tuple[list[int], list[int]]], rows: int
    ) -> npt.NDArray[np.int64]:
        """int64[rows, E]: what each user may not be shown, 0 padded."""
        index_of = self._index_of_hash
        excluded: list[list[int]] = []
        for behavior, (indexes, _) in zip(tracked, known, strict=True):
            row = [index_of[item] for item in unpack(behavior.excluded) if item in index_of]
            row += self._withdrawn
            row += indexes if self._rules.exclude_seen else []
            row += self._neighbors_of_disliked(behavior) if behavior.disliked else []
            excluded.append(row)
        longest = max(map(len, excluded), default=0)
        exclude = np.zeros((rows, max(1, -(-longest // _EXCLUDE_STEP)) * _EXCLUDE_STEP), dtype=np.int64)
        for number, row in enumerate(excluded):
            exclude[number, : len(row)] = row
        return exclude

    def _call(self, *inputs: npt.NDArray[np.generic]) -> tuple[list[list[int]], list[list[float]]]:
        with torch.inference_mode():
            items, scores = self._module(*(torch.from_numpy(array).to(self._device) for array in inputs))
        best = slice(self._rules.candidates)
        return items[:, best].cpu().tolist(), scores[:, best].cpu().tolist()

    def _candidates(self, items: list[int], scores: list[float], history: list[int]) -> list[Candidate]:
        vocabulary = self._bundle.vocabulary
        because = self._reasons(history)
        return [
            Candidate(vocabulary[item - 1], score, because.get(item))
            for item, score in zip(items, scores, strict=True)
            if item
        ]

    def _reasons(self, history: list[int]) -> dict[int, str]:
        """Each near neighbour of the newest history items, and the newest item it is a neighbour of."""
        recent = history[-_REASON_ITEMS:]
        vocabulary = self._bundle.vocabulary
        near = self._bundle.neighbors[recent].tolist()
        return {neighbor: vocabulary[item - 1] for item, row in zip(recent, near, strict=True) for neighbor in row}


assert HASH_TYPECODE == "q", "hashes are int64 in numpy as well"
