"""A warm start: a network begins with the weights of an earlier one, and items that it did not know get a row."""

import torch

from model.datasets.interactions import index_of
from model.networks.sequence import SequenceRecommender
from model.records import ItemId
from model.training.train_config import Start

_BY_ITEM = frozenset({"item.weight", "bias"})
"""The weights of a `SequenceRecommender` that have a row for each item, and one for padding."""


def start_from(model: SequenceRecommender, vocabulary: tuple[ItemId, ...], start: Start) -> None:
    """Give a network the weights of an earlier one, as far as both have them in the same shape.

    Each item keeps its row, wherever it is in the new vocabulary. A new item keeps the row that it was drawn, and as
    its bias the lowest of the known ones plus what its own popularity is above the least: it has to earn its place.
    """
    earlier = index_of(start.vocabulary)
    rows = torch.tensor([0, *(earlier.get(item_id, 0) for item_id in vocabulary)])
    known = rows > 0
    own = model.state_dict()
    with torch.no_grad():
        for name, weight in start.weights.items():
            if (now := own.get(name)) is None or now.shape[1:] != weight.shape[1:]:
                continue
            if name in _BY_ITEM:
                if name == "bias" and bool(known.any()):
                    now += weight[1:].min() - now[1:].min()
                now[known] = weight[rows[known]]
            elif now.shape == weight.shape:
                now.copy_(weight)
