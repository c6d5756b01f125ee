"""Turns a trained recommender into a bundle.

TorchScript is deprecated but is what loads without the model's source and takes any batch size;
all that is deprecated of it stands behind `_torchscript`.
"""

import io
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.bundle import Contents, Popular
from model.datasets.reading import Item
from model.interactions import Interactions
from model.recommender import Recommender
from model.records import ItemId

NEIGHBORS = 20
POPULAR = 1_000
_ROWS_AT_ONCE = 1_024  # of the similarity matrix


@contextmanager
def _torchscript() -> Iterator[Any]:
    """Gives torch.jit with its deprecation warnings silenced."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch.jit", DeprecationWarning)
        yield torch.jit


def save_script(model: Recommender) -> bytes:
    """The model as a TorchScript file."""
    content = io.BytesIO()
    with _torchscript() as jit:
        jit.save(jit.script(model.eval()), content)
    return content.getvalue()


def load_script(content: bytes, device: str) -> nn.Module:
    """The module in a TorchScript file, in evaluation mode on `device`."""
    with _torchscript() as jit:
        return jit.load(io.BytesIO(content), map_location=device).eval()


def nearest_neighbors(embeddings: Tensor, count: int) -> npt.NDArray[np.int32]:
    """The items of the highest cosine to each item.

    Args:
        embeddings: (n + 1, D); row 0 is padding.
        count: M, columns of the table.

    Returns:
        (n + 1, M), nearest first, never the item itself, 0 pads.
    """
    table = np.zeros((len(embeddings), count), dtype=np.int32)
    unit = F.normalize(embeddings.detach().float(), dim=1)  # (n + 1, D)
    found = min(count, len(embeddings) - 2)
    if found < 1:
        return table
    for start in range(0, len(unit), _ROWS_AT_ONCE):
        rows = torch.arange(start, min(start + _ROWS_AT_ONCE, len(unit)))
        cosine = unit[rows] @ unit.T  # (R, n + 1)
        cosine[:, 0] = float("-inf")
        cosine[torch.arange(len(rows)), rows] = float("-inf")
        table[start : start + len(rows), :found] = cosine.topk(found, dim=1).indices.numpy()
    table[0] = 0
    return table


def most_popular(training: Interactions, count: int = POPULAR) -> Popular:
    """The items that occur most in the histories of `training`, with their counts, best first."""
    counts = training.histories().counts()
    best = np.argsort(-counts[1:], kind="stable")[:count]
    return tuple((training.vocabulary[i], int(counts[i + 1])) for i in best.tolist() if counts[i + 1])


def contents_of(
    model: Recommender, embeddings: Tensor, training: Interactions, items: Mapping[ItemId, Item]
) -> Contents:
    """Everything that a bundle holds beside its manifest.

    Args:
        model: trained, in the vocabulary of `training`.
        embeddings: (n + 1, D), from which neighbours are taken.
        training: the behaviours it was trained on.
        items: the catalogue.
    """
    known = [items.get(item_id, Item(item_id, item_id)) for item_id in training.vocabulary]
    return Contents(
        model=save_script(model),
        vocabulary=training.vocabulary,
        titles=tuple(item.title for item in known),
        groups=tuple(item.group for item in known),
        neighbors=nearest_neighbors(embeddings, NEIGHBORS),
        popularity=most_popular(training),
    )
