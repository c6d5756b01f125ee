"""The base of recommenders with item vectors: a user who is not in the training data is the history's mean vector."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from model.datasets.interactions import Interactions, Ints
from model.recommenders.from_history import FromHistory
from model.recommenders.kinds import Learned
from model.recommenders.neighbors import nearest_neighbors


class MeanOfItems(FromHistory):
    """A ranking by dot product with the weighted mean of the history's vectors; newer items count more."""

    def __init__(self, in_histories: Tensor, items: Tensor, counts: Ints, k: int, decay: float) -> None:
        """Build the model from vectors of items in histories, (n + 1, D), and of items to rank, (n + 1, D)."""
        super().__init__(counts, k, decay)
        self.register_buffer("in_histories", in_histories)
        self.register_buffer("items", items)

    def affinity(self, history: Tensor, recency: Tensor, weight: Tensor) -> Tensor:
        """Score every model index by its dot product. (B, L) each -> (B, n + 1)."""
        share = recency / recency.sum(1, keepdim=True).clamp(min=1e-12)
        user = F.embedding_bag(
            history, self.in_histories, mode="sum", per_sample_weights=share, padding_idx=0
        )  # (B, D)
        return F.linear(user, self.items)


def with_neighbors_by(vectors: Tensor, model: FromHistory) -> Learned:
    """Return a trained recommender with the neighbours that the item vectors, (n + 1, D), have."""
    return Learned(model.eval(), partial(nearest_neighbors, vectors))


def user_items(log: Interactions, alpha: float) -> Any:
    """Return confidences 1 + alpha * weight in implicit's format: scipy's csr, (users, n), item i in column i - 1."""
    from scipy.sparse import csr_matrix

    histories = log.histories()
    shape = (log.users, log.items)
    weighed = csr_matrix((histories.weight, (histories.user, histories.item - 1)), shape)  # repeats add up
    weighed.data = (1.0 + alpha * weighed.data).astype(np.float32)
    return weighed


def padded(vectors: npt.NDArray[Any]) -> Tensor:
    """Return the item vectors, (n, D), as float32 with a row of zeros before them, (n + 1, D)."""
    return F.pad(torch.from_numpy(np.array(vectors, dtype=np.float32)), (0, 0, 1, 0))


@contextmanager
def one_thread() -> Iterator[None]:
    """Limit BLAS to one thread while the block runs: implicit asks for it, and one thread gives one result."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, "blas"):
        yield
