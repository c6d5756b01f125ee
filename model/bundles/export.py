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
import torch
from torch import nn

from model.bundles.bundle import Contents, Popular
from model.datasets.interactions import Interactions
from model.datasets.reading import Item
from model.networks.recommender import Recommender
from model.recommenders.kinds import Learned
from model.records import ItemId

NEIGHBORS = 20
POPULAR = 1_000


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


def most_popular(training: Interactions, count: int = POPULAR) -> Popular:
    """The items that occur most in the histories of `training`, with their counts, best first."""
    counts = training.histories().counts()
    best = np.argsort(-counts[1:], kind="stable")[:count]
    return tuple((training.vocabulary[i], int(counts[i + 1])) for i in best.tolist() if counts[i + 1])


def contents_of(learned: Learned, training: Interactions, items: Mapping[ItemId, Item]) -> Contents:
    """Everything that a bundle holds beside its manifest.

    Args:
        learned: trained, in the vocabulary of `training`.
        training: the behaviours it was trained on.
        items: the catalogue.
    """
    known = [items.get(item_id, Item(item_id, item_id)) for item_id in training.vocabulary]
    return Contents(
        model=save_script(learned.recommender),
        vocabulary=training.vocabulary,
        titles=tuple(item.title for item in known),
        groups=tuple(item.group for item in known),
        neighbors=learned.neighbors(NEIGHBORS),
        popularity=most_popular(training),
    )
