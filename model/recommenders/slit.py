"""SLIT: the linear model that best predicts the next item from the faded history, in closed form (Choi et al. 2021).

EASE predicts items that belong together, SLIT those that come next, so it knows an order and still trains in seconds.
It is the temporal half of the paper's SLIST, with only the next item as target: a longer future gained nothing.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from model.datasets.interactions import Interactions, Ints
from model.recommenders.cooccurrence import sparse_product
from model.recommenders.ease import EASE, refuse_gigabytes
from model.recommenders.kinds import Learned, Progress, Size, TrainingSet
from model.recommenders.neighbors import neighbors_by_users
from model.training.train import TrainConfig
from model.training.train_config import TooLittleDataError

SETTINGS = TrainConfig()


@dataclass(frozen=True, slots=True)
class Options:
    """The options of SLIT.

    Attributes:
        l2: penalty on the weights' squares.
        decay: weight of an item as a share of the next newer one's.
        reach: number of a history's newest items that training reads.
    """

    l2: float = 600.0
    decay: float = 0.94
    reach: int = 60


DEFAULTS = Options()


def next_item_weights(log: Interactions, options: Options = DEFAULTS) -> Tensor:
    """Solve the ridge regression (X'X + l2 I)^-1 X'Y, with a row for each behaviour that has a next one.

    X holds the faded history up to the behaviour, and Y the next item. The weights are (n + 1, n + 1), with zeros in
    row 0 and column 0.

    Raises:
        ValueError: there are too many items, or too little memory is free, as in `refuse_gigabytes`; or no user has
            two items.
    """
    refuse_gigabytes("slit", log.items)
    before, after = _regression(log, options)
    products = (sparse_product(before.t(), other).to_dense() for other in (before, after))  # (n + 1, n + 1) each
    gram, moment = (product[1:, 1:].double() for product in products)  # (n, n) each
    gram.diagonal().add_(options.l2)
    return F.pad(torch.cholesky_solve(moment, torch.linalg.cholesky(gram)), (1, 0, 1, 0)).float()


def fit(
    data: TrainingSet, size: Size, settings: TrainConfig, progress: Progress, options: Options = DEFAULTS
) -> Learned:
    """Train SLIT by solving for its weights; raise ValueError as `next_item_weights` does."""
    weights = next_item_weights(data.log, options)
    model = EASE(weights, data.log.histories().counts(), size.k, options.decay).eval()
    return Learned(model, partial(neighbors_by_users, data.log))


def _regression(log: Interactions, options: Options) -> tuple[Tensor, Tensor]:
    """Return the faded histories, and the item after each. Sparse float32 (P, n + 1) each."""
    histories = log.histories()
    order = np.argsort(histories.user, kind="stable")
    user, item = histories.user[order], histories.item[order]
    newest = np.flatnonzero(user[1:] == user[:-1])  # (P,), rows that have a next one
    if not len(newest):
        msg = "no user has two history behaviours before the cut-off; take more data or a later cut-off"
        raise TooLittleDataError(msg)
    oldest = np.searchsorted(user, user[newest])  # (P,)
    longest = int((newest - oldest).max()) + 1
    reached = [np.flatnonzero(newest - back >= oldest) for back in range(min(options.reach, longest))]
    entries = [(at, item[newest[at] - back], options.decay**back) for back, at in enumerate(reached)]
    shape = (len(newest), log.items + 1)
    return _sparse(entries, shape), _sparse([(np.arange(len(newest)), item[newest + 1], 1.0)], shape)


def _sparse(entries: list[tuple[Ints, Ints, float]], shape: tuple[int, int]) -> Tensor:
    """Build a sparse matrix from (rows, columns, value of all these cells) entries."""
    place = np.concatenate([np.stack([rows, columns]) for rows, columns, _ in entries], axis=1)  # (2, E)
    counted = np.repeat([value for *_, value in entries], [len(rows) for rows, *_ in entries])  # (E,)
    found = torch.sparse_coo_tensor(
        torch.from_numpy(place), torch.from_numpy(counted).float(), shape, check_invariants=True
    )
    return found.coalesce()
