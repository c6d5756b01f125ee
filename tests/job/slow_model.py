"""A model that costs about 2 ms of CPU a history, on whatever machine and in whatever batch; otherwise popularity."""

import time
from pathlib import Path

import torch
from torch import Tensor

from model.bundles.bundle import Bundle
from model.networks.recommender import Recommender
from tests.job.faulty_model import ITEMS, write_model

_COST_S = 0.002
_TRIED = 200


class Slow(Recommender):
    """Scores fall with the model index."""

    rounds: int

    def __init__(self, items: int, k: int, rounds: int) -> None:
        """Takes how many products of matrices a history costs."""
        super().__init__(items, k)
        self.rounds = rounds

    def scores(self, history: Tensor, weight: Tensor, age_s: Tensor) -> Tensor:
        burden = torch.ones(128, 128)
        for _ in range(self.rounds * history.size(0)):
            burden = torch.tanh(burden @ burden)
        falling = torch.arange(51, 0, -1).float() + 0 * burden[0, 0]  # (n + 1,)
        return falling.expand(history.size(0), 51).clone()  # (B, n + 1)


def write_slow_bundle(path: Path) -> Bundle:
    return write_model(path, "slow", Slow(len(ITEMS), 20, _rounds()))


def _rounds() -> int:
    """How many take 2 ms here: three times the load has to be the model's business alone, not the rest of the job's."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        burden, began = torch.ones(128, 128), time.thread_time()
        for _ in range(_TRIED):
            burden = torch.tanh(burden @ burden)
        return max(1, round(_COST_S * _TRIED / (time.thread_time() - began)))
    finally:
        torch.set_num_threads(threads)
