"""The neighbour table of a bundle: each item's nearest others, by embeddings or by common users."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from model.datasets.interactions import Interactions
from model.recommenders.cooccurrence import cosine_pairs, paired_items, strongest
from model.recommenders.kinds import NeighborTable

_ROWS_AT_ONCE = 1_024  # of the similarity matrix


def nearest_neighbors(embeddings: Tensor, count: int) -> NeighborTable:
    """Return the items with the highest cosine to each item.

    Args:
        embeddings: (n + 1, D); row 0 is padding.
        count: M, columns of the table.

    Returns:
        (n + 1, M), nearest first, never the item itself, 0 pads.
    """
    unit = F.normalize(embeddings.detach().float(), dim=1)  # (n + 1, D)
    return _table(_tops(lambda rows: unit[rows] @ unit.T, len(unit), count, _ROWS_AT_ONCE), len(unit), count)


def met_together(log: Interactions, count: int) -> NeighborTable:
    """Return the items with the most similar users to each item, for recommenders without embeddings.

    Args:
        log: source of the histories; of each user the newest `PAIRED` items count.
        count: M, columns of the table.

    Returns:
        (n + 1, M), highest cosine first, only items with a user in common, 0 pads.
    """
    return alike_by_users(paired_items(log), count)


def alike_by_users(met: Tensor, count: int) -> NeighborTable:
    """Return the table of `met_together` from a matrix of `paired_items`."""
    near, _ = strongest(cosine_pairs(met), met.size(1) - 1, count)
    return near


def _tops(
    similarity: Callable[[Tensor], Tensor], indexes: int, count: int, at_once: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield some rows, (R,), with their best columns, (R, min(M, n - 1)), 0 where there is none."""
    found = min(count, indexes - 2)
    for start in range(0, indexes if found > 0 else 0, at_once):
        rows = torch.arange(start, min(start + at_once, indexes))
        alike = similarity(rows)  # (R, n + 1)
        alike[:, 0] = float("-inf")
        alike[torch.arange(len(rows)), rows] = float("-inf")
        best, columns = alike.topk(found, dim=1)
        yield rows, columns.masked_fill(torch.isinf(best), 0)


def _table(tops: Iterator[tuple[Tensor, Tensor]], indexes: int, count: int) -> NeighborTable:
    table = np.zeros((indexes, count), dtype=np.int32)
    for rows, columns in tops:
        table[rows.numpy(), : columns.shape[1]] = columns.numpy()
    table[0] = 0
    return table
