"""The sparse matrix of users and items, and the pairs of items with common users, by torch's sparse products.

The number of pairs grows with the square of a history, so only the newest `PAIRED` items of each user are paired. This
is the interaction cut of Schelter, Boden and Markl (2012), who found that power users' pairs cost most and say little.
"""

import logging
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from model.datasets.interactions import Floats, Interactions, Ints
from model.recommenders.kinds import NeighborTable

_log = logging.getLogger(__name__)

PAIRED = 1_000
"""The most items of a user that are paired; the longest history of MovieLens-100K has fewer."""
_PRODUCTS_AT_ONCE = 1 << 20
"""The most products in a block, unless the matrix itself is larger; several arrays of 8 MB each exist at once."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """E pairs of items with common users; an item is paired with itself too.

    Attributes:
        item: model indexes, (E,), in order; all pairs of an item are together.
        other: model indexes, (E,).
        users: number of users who interacted with both, or the sum of their weights. (E,).
    """

    item: Ints
    other: Ints
    users: Floats


def user_item_matrix(log: Interactions) -> Tensor:
    """Return a matrix with 1 where a user's history holds the item.

    Sparse float32 (users, n + 1), coalesced; column 0 is empty.
    """
    (user, item), _ = _users_and_items(log)
    return _matrix(log, user, item)


def paired_items(log: Interactions) -> Tensor:
    """Return the `user_item_matrix` of only the newest `PAIRED` items of each user, which are to be paired.

    The number of users who have more is logged.
    """
    (user, item), age = _users_and_items(log)
    order = np.lexsort((age, user))  # `user` is sorted already, so `user[order]` equals `user`
    newest = np.sort(order[np.arange(len(user)) - np.searchsorted(user, user) < PAIRED])
    if cut := len(np.unique(np.delete(user, newest))):
        _log.warning("Users with more than %d items: %d. Only their newest count in pairs of items.", PAIRED, cut)
    return _matrix(log, user[newest], item[newest])


def common_users(matrix: Tensor, worth: Tensor | None = None) -> Iterator[Pairs]:
    """Yield all pairs of items with common users, some items at a time.

    Time and memory grow only with the number of pairs.

    Args:
        matrix: as `paired_items` returns it.
        worth: float32 (users,), weight of each user; 1 if None.
    """
    by_item = matrix.t().coalesce()  # (n + 1, users)
    item, user = by_item.indices()  # (P,) x 2
    counted = by_item.values() if worth is None else by_item.values() * worth[user]  # (P,)
    starts = torch.searchsorted(item, torch.arange(matrix.size(1) + 1)).numpy()  # (n + 2,)
    products = F.pad(torch.sparse.sum(matrix, 1).to_dense().long()[user].cumsum(0), (1, 0)).numpy()  # (P + 1,)
    # Each sparse product first reads all of `matrix`, which costs no more than as many products as it has cells; so a
    # block may have at least that many.
    for first, end in _blocks(products[starts], max(_PRODUCTS_AT_ONCE, len(item))):
        cells = slice(int(starts[first]), int(starts[end]))
        place = torch.stack([item[cells] - first, user[cells]])
        size = (end - first, matrix.size(0))
        rows = torch.sparse_coo_tensor(place, counted[cells], size, is_coalesced=True, check_invariants=True)
        found = sparse_product(rows, matrix)
        row, column = found.indices().numpy()
        yield Pairs(row + first, column, found.values().numpy())


def cosine_pairs(matrix: Tensor) -> Iterator[Pairs]:
    """Yield the pairs of `common_users` with their cosine: users of both / sqrt(users of one * users of the other)."""
    norm = np.sqrt(users_of_items(matrix))
    for pairs in common_users(matrix):
        yield replace(pairs, users=pairs.users / (norm[pairs.item] * norm[pairs.other]))


def users_of_items(matrix: Tensor) -> Floats:
    """Count the users of each item. (users, n + 1) -> (n + 1,)."""
    counted: Floats = torch.sparse.sum(matrix, 0).to_dense().numpy()
    return counted


def strongest(pairs: Iterable[Pairs], items: int, count: int) -> tuple[NeighborTable, Floats]:
    """Return each item's other items with the most common users, most first, and the pairs' `users`.

    Args:
        pairs: pairs in blocks, all of an item in one block; their users are above 0.
        items: n.
        count: M, columns.

    Returns:
        int32 and float32, (n + 1, M) each; 0 pads both.
    """
    near = np.zeros((items + 1, count), dtype=np.int32)
    users = np.zeros((items + 1, count), dtype=np.float32)
    for found in pairs:
        apart = np.flatnonzero(found.item != found.other)
        # Floats above 0 sort like their bits, so one sort of integers replaces a slow one by two keys.
        order = apart[np.argsort((found.item[apart] << 32) - found.users[apart].view(np.int32), kind="stable")]
        item = found.item[order]
        place = np.arange(len(item)) - np.searchsorted(item, item)
        order, item, place = (each[place < count] for each in (order, item, place))
        near[item, place], users[item, place] = found.other[order], found.users[order]
    return near, users


def sparse_product(left: Tensor, right: Tensor) -> Tensor:
    """Multiply two sparse matrices; the product is sparse and coalesced. (A, B), (B, C) -> (A, C)."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta", UserWarning)
        return torch.sparse.mm(left, right).coalesce()


def _users_and_items(log: Interactions) -> tuple[tuple[Ints, Ints], Ints]:
    """Return the distinct (users, items) in order, and the age of each pair's newest behaviour. (P,) x 3.

    The age counts rows from the end of the log's histories: the least is the newest.
    """
    histories = log.histories()
    width = log.items + 1
    cells, age = np.unique((histories.user * width + histories.item)[::-1], return_index=True)
    return np.divmod(cells, width), age


def _matrix(log: Interactions, user: Ints, item: Ints) -> Tensor:
    place, size = torch.from_numpy(np.stack([user, item])), (log.users, log.items + 1)
    return torch.sparse_coo_tensor(place, torch.ones(len(user)), size, is_coalesced=True, check_invariants=True)


def _blocks(before: Ints, most: int) -> Iterator[tuple[int, int]]:
    """Yield (first, end) of successive items that take at most `most` products, or of one that takes more.

    Args:
        before: number of products of all items before each one, and of all. (n + 2,).
        most: limit of products.
    """
    first, last = 0, len(before) - 1
    while first < last:
        end = max(first + 1, int(np.searchsorted(before, before[first] + most, side="right")) - 1)
        yield first, end
        first = end
