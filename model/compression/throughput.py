"""The throughput of models on one thread, side by side, in users per second; only the model's call is timed.

Every round gives each model the same batches, one model after the other, so that other load on the machine affects all
alike. Seconds are the thread's CPU time, and figures are medians over the rounds.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from model.evaluation.evaluate import Targets, pad_right

_ROUNDS = 9
USERS = 512
"""The number of users in a round of batches; one by one, an eighth of it."""
EXCLUDE_STEP = 64
"""Serving pads the number of excluded items to multiples of this."""
WARM_UP = 3
"""The number of untimed calls: TorchScript specialises in its first calls of a shape."""
Batch = tuple[Tensor, ...]
"""(history, weight, age_s, exclude), as `model.networks.recommender` has them."""


@dataclass(frozen=True, slots=True)
class Throughput:
    """One model's users per second, and their ratio to the first model's.

    Attributes:
        users_per_s: median over the rounds.
        faster: median of the rounds' ratios to the first model.
    """

    users_per_s: float
    faster: float


def throughput(
    models: Mapping[str, nn.Module], targets: Targets, batch_size: int, *, rounds: int = _ROUNDS, seed: int = 0
) -> dict[str, Throughput]:
    """Time the models on real histories.

    Args:
        models: loaded for serving on the CPU; the others are compared with the first.
        targets: source of the histories and of the items to exclude; at least `batch_size` of them.
        batch_size: users in a call.
        rounds: number of passes over all models.
        seed: seed of the choice of histories.
    """
    wanted = USERS if batch_size > 1 else USERS // 8
    rows = np.random.default_rng(seed).permutation(len(targets))
    count = max(1, min(wanted, len(rows)) // batch_size)
    batches = []
    for part in rows[: count * batch_size].reshape(count, -1):
        exclude = pad_right([targets.seen[row] for row in part.tolist()])
        exclude = np.pad(exclude, ((0, 0), (0, -exclude.shape[1] % EXCLUDE_STEP)))
        inputs = (targets.history[part], targets.weight[part], targets.age_s[part], exclude)
        batches.append(tuple(map(torch.from_numpy, inputs)))
    with _one_thread(), torch.inference_mode():
        for model in models.values():
            for _ in range(WARM_UP):
                model(*batches[0])
        seconds = np.array(
            [[_seconds(model, batches) for model in models.values()] for _ in range(rounds)]
        )  # (rounds, models)
    users = batch_size * count
    return {
        name: Throughput(
            users_per_s=float(users / np.median(own)),
            faster=float(np.median(seconds[:, 0] / own)),
        )
        for name, own in zip(models, seconds.T, strict=True)
    }


def _seconds(model: nn.Module, batches: list[Batch]) -> float:
    started = time.thread_time()
    for batch in batches:
        model(*batch)
    return time.thread_time() - started


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
