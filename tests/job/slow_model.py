"""A model that costs about 2 ms of CPU a history, whatever the batch, and is popularity otherwise."""

from pathlib import Path

import torch
from torch import Tensor

from model.bundle import Bundle
from model.recommender import Recommender
from tests.job.faulty_model import ITEMS, write_model


class Slow(Recommender):
    """Scores fall with the model index."""

    def scores(self, history: Tensor, weight: Tensor, age_s: Tensor) -> Tensor:
        burden = torch.ones(128, 128)
        for _ in range(16 * history.size(0)):
            burden = torch.tanh(burden @ burden)
        falling = torch.arange(51, 0, -1).float() + 0 * burden[0, 0]  # (n + 1,)
        return falling.expand(history.size(0), 51).clone()  # (B, n + 1)


def write_slow_bundle(path: Path) -> Bundle:
    return write_model(path, "slow", Slow(len(ITEMS), 20))
