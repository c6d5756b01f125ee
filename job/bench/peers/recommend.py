"""The model that all peers share: loaded as the job loads it, and called with one history or many."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from model.bundles.bundle import Bundle, load_module

_EXCLUDED = 128

Answer = tuple[list[str], list[float]]
"""Items and their scores, best first."""


class Recommend:
    """A loaded bundle."""

    def __init__(self, bundle: Path, threads: int = 1) -> None:
        """Check the bundle's hashes, load the model, and warm it up."""
        torch.set_num_threads(threads)
        self._bundle = Bundle.load(bundle)
        self._module = load_module(self._bundle)
        self._length = self._bundle.manifest.history_length
        for size in (1, 64, 1, 64):
            self([[]] * size)

    def __call__(self, histories: Sequence[Sequence[str]]) -> list[Answer]:
        """Call the model once; no item of a history is recommended."""
        index_of = self._bundle.index_of
        history = np.zeros((len(histories), self._length), dtype=np.int64)
        exclude = np.zeros((len(histories), _EXCLUDED), dtype=np.int64)
        for row, items in enumerate(histories):
            if items:
                indexes = [index_of[item] for item in items]
                newest = indexes[-self._length :]
                history[row, -len(newest) :] = newest
                exclude[row, : len(indexes)] = indexes
        unused = torch.zeros(history.shape, dtype=torch.float32)
        with torch.inference_mode():
            items, scores = self._module(torch.from_numpy(history), unused, unused, torch.from_numpy(exclude))
        vocabulary = self._bundle.vocabulary
        named = [[vocabulary[item - 1] for item in row if item] for row in items.tolist()]
        return list(zip(named, scores.tolist(), strict=True))


def made_list(behavior: dict[str, Any], version: int, answer: Answer) -> dict[str, Any]:
    """Return a list in the peers' format, much shorter than the job's row."""
    items, scores = answer
    return {
        "user_id": behavior["user_id"],
        "items": items,
        "scores": scores,
        "list_version": version,
        "action": behavior["action"],
        "item_id": behavior["item_id"],
        "timestamp": behavior["timestamp"],
        "written_at": int(time.time() * 1000),
    }
