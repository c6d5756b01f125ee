"""The contents of a bundle, from a trained recommender."""

from collections.abc import Mapping

import numpy as np

from model.bundles.bundle import Contents, Popular
from model.bundles.torchscript import save_script
from model.datasets.interactions import Interactions
from model.datasets.reading import Item
from model.recommenders.kinds import Learned
from model.records import ItemId

NEIGHBORS = 20
POPULAR = 1_000


def most_popular(training: Interactions, count: int = POPULAR) -> Popular:
    """Return the most frequent items of the histories in `training`, with their counts, best first."""
    counts = training.histories().counts()
    best = np.argsort(-counts[1:], kind="stable")[:count]
    return tuple((training.vocabulary[i], int(counts[i + 1])) for i in best.tolist() if counts[i + 1])


def contents_of(learned: Learned, training: Interactions, items: Mapping[ItemId, Item]) -> Contents:
    """Build the contents of a bundle from a trained recommender.

    Args:
        learned: the recommender, in the vocabulary of `training`.
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
