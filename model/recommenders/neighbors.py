"""The neighbour table of a bundle: each item's nearest others, by embeddings or by common users."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from model.datasets.interactions import Interactions
from model.networks.cells import cells_of
from model.recommenders.cooccurrence import cosine_pairs, paired_items, strongest
from model.recommenders.kinds import NeighborTable

_ROWS_AT_ONCE = 1_024  # of the similarity matrix
_COMPARED_WITH_ALL = 50_000
"""Up to so many items each is compared with all others: 100,000 items of 64 dimensions would take a minute."""
_CELLS = 32
"""Beyond, an item is compared with the items of so many cells, the nearest to its own."""


def nearest_neighbors(embeddings: Tensor, count: int) -> NeighborTable:
    """Return the items with the highest cosine to each item; of very many items, the highest in the cells around it.

    Args:
        embeddings: (n + 1, D); row 0 is padding.
        count: M, columns of the table.

    Returns:
        (n + 1, M), nearest first, never the item itself, 0 pads.
    """
    unit = F.normalize(embeddings.detach().float(), dim=1)  # (n + 1, D)
    table = np.zeros((len(unit), count), dtype=np.int32)
    if len(unit) - 1 > _COMPARED_WITH_ALL:
        return _nearest_in_cells(unit, table)
    found = min(count, len(unit) - 2)
    for start in range(0, len(unit) if found > 0 else 0, _ROWS_AT_ONCE):
        rows = torch.arange(start, min(start + _ROWS_AT_ONCE, len(unit)))
        alike = unit[rows] @ unit.T  # (R, n + 1)
        alike[:, 0] = float("-inf")
        alike[torch.arange(len(rows)), rows] = float("-inf")
        best, columns = alike.topk(found, dim=1)
        table[rows.numpy(), :found] = columns.masked_fill(torch.isinf(best), 0).numpy()
    table[0] = 0
    return table


def _nearest_in_cells(unit: Tensor, table: NeighborTable) -> NeighborTable:
    """Fill the table of `nearest_neighbors` cell by cell. (n + 1, D), (n + 1, M) -> (n + 1, M)."""
    cells = cells_of(unit[1:])  # (C, items of a cell)
    filled = (cells > 0).sum(1, keepdim=True)
    # The padding index has a vector too, which is none of a cell's.
    centres = F.normalize((unit[cells] * (cells > 0).unsqueeze(2)).sum(1) / filled, dim=1)  # (C, D)
    for own, centre in zip(cells, centres, strict=True):
        around = cells[(centres @ centre).topk(min(_CELLS, len(cells))).indices].flatten()
        others, rows = around[around > 0], own[own > 0]
        alike = unit[rows] @ unit[others].T  # (R, I)
        alike[rows.unsqueeze(1) == others.unsqueeze(0)] = float("-inf")
        best, columns = alike.topk(min(table.shape[1], len(others)), dim=1)
        table[rows.numpy(), : best.size(1)] = others[columns].masked_fill(torch.isinf(best), 0).numpy()
    return table


def neighbors_by_users(log: Interactions, count: int) -> NeighborTable:
    """Return the items with the most similar users to each item, for recommenders without embeddings.

    Args:
        log: source of the histories; of each user the newest `PAIRED` items count.
        count: M, columns of the table.

    Returns:
        (n + 1, M), highest cosine first, only items with a user in common, 0 pads.
    """
    return alike_by_users(paired_items(log), count)


def alike_by_users(matrix: Tensor, count: int) -> NeighborTable:
    """Return the table of `neighbors_by_users` from a matrix of `paired_items`."""
    near, _ = strongest(cosine_pairs(matrix), matrix.size(1) - 1, count)
    return near
