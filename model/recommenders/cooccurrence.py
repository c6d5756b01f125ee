"""Who met what as a sparse matrix, and how alike two items are by it; torch's sparse products do the work."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from model.datasets.interactions import Interactions

_CELLS_AT_ONCE = 1 << 22  # of a dense block, of which several are there at once: 16 MB each


def user_item_matrix(log: Interactions) -> Tensor:
    """1 where a user's history holds the item. Sparse float32 (users, n + 1), coalesced; column 0 is empty."""
    histories = log.histories()
    pairs = np.ascontiguousarray(np.unique(np.stack([histories.user, histories.item]), axis=1))  # (2, P), in order
    size = (log.users, log.items + 1)
    return torch.sparse_coo_tensor(
        torch.from_numpy(pairs), torch.ones(pairs.shape[1]), size, is_coalesced=True, check_invariants=True
    )


def common_users(log: Interactions, worth: Tensor | None = None) -> Callable[[Tensor], Tensor]:
    """How many users met two items.

    Args:
        log: its histories are what was met.
        worth: float32 (users,), what each user counts; 1 if None.

    Returns:
        A function from R model indexes to float32 (R, n + 1). It takes as many indexes as `rows_at_once` says.
    """
    by_item = user_item_matrix(log).t().coalesce()  # (n + 1, users)
    counted = by_item if worth is None else by_item * worth  # (n + 1, users)

    def rows(items: Tensor) -> Tensor:
        chosen = by_item.index_select(0, items).to_dense()  # (R, users)
        return torch.sparse.mm(counted, chosen.T).T

    return rows


def cosine_rows(log: Interactions) -> Callable[[Tensor], Tensor]:
    """Similarity of items by the users who met both, in the histories of `log`.

    Returns:
        A function as `common_users` returns: users of both / sqrt(users of one * users of the other).
    """
    common = common_users(log)
    norm = torch.sparse.sum(user_item_matrix(log), 0).to_dense().sqrt()  # (n + 1,)

    def rows(items: Tensor) -> Tensor:
        return common(items) / torch.outer(norm[items], norm).clamp(min=1e-12)

    return rows


def rows_at_once(log: Interactions) -> int:
    """How many rows of a dense (R, users or n) block keep memory small."""
    return max(1, _CELLS_AT_ONCE // max(log.users, log.items + 1))
