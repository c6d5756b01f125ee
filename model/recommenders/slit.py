"""SLIT: the linear model that foresees the next item best from the faded history, in closed form (Choi et al. 2021).

EASE asks what belongs together; this asks what comes next, so it knows an order and still trains in seconds. Of the
paper's SLIST it is the temporal half, with the next item alone as target: a longer future gained nothing.
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
from model.recommenders.neighbors import met_together
from model.training.train import TrainConfig
from model.training.train_config import TooLittleDataError

HOW = TrainConfig()


@dataclass(frozen=True, slots=True)
class Options:
    """What it is made of.

    Attributes:
        l2: penalty of the weights' squares.
        decay: an item counts so much of the one after it.
        reach: newest items of a history that are looked at in training.
    """

    l2: float = 600.0
    decay: float = 0.94
    reach: int = 60


DEFAULTS = Options()


def next_item_weights(log: Interactions, options: Options = DEFAULTS) -> Tensor:
    """The ridge regression (X'X + l2 I)^-1 X'Y, with a row a behaviour that has a next one.

    X holds the faded histories up to that behaviour, and Y what came next. (n + 1, n + 1), row and column 0 zero.

    Raises:
        ValueError: the vocabulary is so large that the matrices take many gigabytes, or nobody has two items.
    """
    refuse_gigabytes("slit", log.items)
    before, after = _regression(log, options)
    products = (sparse_product(before.t(), other).to_dense() for other in (before, after))  # (n + 1, n + 1) each
    gram, moment = (product[1:, 1:].double() for product in products)  # (n, n) each
    gram.diagonal().add_(options.l2)
    return F.pad(torch.cholesky_solve(moment, torch.linalg.cholesky(gram)), (1, 0, 1, 0)).float()


def fit(data: TrainingSet, size: Size, how: TrainConfig, progress: Progress, options: Options = DEFAULTS) -> Learned:
    """Solves for the weights; ValueError if there are too many items."""
    weights = next_item_weights(data.log, options)
    model = EASE(weights, data.log.histories().counts(), size.k, options.decay).eval()
    return Learned(model, partial(met_together, data.log))


def _regression(log: Interactions, options: Options) -> tuple[Tensor, Tensor]:
    """Faded histories, and the item after each. Sparse float32 (P, n + 1) each."""
    histories = log.histories()
    order = np.argsort(histories.user, kind="stable")
    user, item = histories.user[order], histories.item[order]
    newest = np.flatnonzero(user[1:] == user[:-1])  # (P,), rows that have a next one
    if not len(newest):
        msg = "no user has two history behaviours before the cut-off; take more data or a later cut-off"
        raise TooLittleDataError(msg)
    oldest = np.searchsorted(user, user[newest])  # (P,)
    reached = [np.flatnonzero(newest - back >= oldest) for back in range(options.reach)]
    entries = [(at, item[newest[at] - back], options.decay**back) for back, at in enumerate(reached)]
    shape = (len(newest), log.items + 1)
    return _sparse(entries, shape), _sparse([(np.arange(len(newest)), item[newest + 1], 1.0)], shape)


def _sparse(entries: list[tuple[Ints, Ints, float]], shape: tuple[int, int]) -> Tensor:
    """A matrix of rows, columns and what each of these counts."""
    place = np.concatenate([np.stack([rows, columns]) for rows, columns, _ in entries], axis=1)  # (2, E)
    counted = np.repeat([value for *_, value in entries], [len(rows) for rows, *_ in entries])  # (E,)
    found = torch.sparse_coo_tensor(
        torch.from_numpy(place), torch.from_numpy(counted).float(), shape, check_invariants=True
    )
    return found.coalesce()
