"""Cells: the items of a bundle sorted into cells, a few of which are scored: exact scores, but not of all items."""

import copy
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from model.datasets.interactions import Interactions
from model.networks.cells import CellItems
from model.networks.sequence import SequenceRecommender

WANTED_RECALL = 0.98
"""The share of the ten best that the cells find on histories of the training; the fewest cells that do are probed."""
_TOP = 10
_FEWEST = 4
_HISTORIES = 256


def in_cells(model: SequenceRecommender, training: Interactions, length: int) -> SequenceRecommender:
    """Return a copy that scores the items of a few cells only.

    Args:
        model: the model; it stays as it is.
        training: behaviours it was trained on, whose newest histories tell how many cells are enough.
        length: the number of newest items that the model reads.
    """
    made: SequenceRecommender = copy.deepcopy(model).requires_grad_(requires_grad=False)
    made.item = CellItems(model.item, model.bias, _FEWEST)
    made.eval()
    history = _newest(training, length)
    exact = _best(model, history)
    while made.item.probes < len(made.item.centre) and recall(exact, _best(made, history)) < WANTED_RECALL:
        made.item.probes *= 2
    return made


def recall(exact: Tensor, found: Tensor) -> float:
    """Return the share of the exact items that were found; 0 pads and does not count. (B, K) x 2."""
    real = exact > 0
    hit = (exact.unsqueeze(2) == found.unsqueeze(1)).any(2) & real
    return float(hit.sum() / real.sum().clamp(min=1))


def _best(model: SequenceRecommender, history: Tensor) -> Tensor:
    """Return each history's best items, none of which the history has. (B, L) -> (B, at most 10)."""
    with torch.inference_mode():
        answers = [model(part, torch.ones(part.shape), torch.ones(part.shape), part) for part in history.split(64)]
    return torch.cat([items for items, _ in answers])[:, :_TOP]


def _newest(training: Interactions, length: int) -> Tensor:
    """Return the newest histories of some users, drawn once and for all, 0 padded on the left. (B, L)."""
    log = training.histories()
    users = [rows for _, rows in log.rows_by_user()]
    drawn = np.random.default_rng(0).permutation(len(users)).tolist()
    history = np.zeros((max(1, min(_HISTORIES, len(users))), length), dtype=np.int64)
    for row, user in enumerate(islice(drawn, _HISTORIES)):
        newest = log.item[users[user]][-length:]
        history[row, length - len(newest) :] = newest
    return torch.from_numpy(history)
