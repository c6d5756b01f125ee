"""(a) The TorchScript model alone: how many histories a second both cores score, at the best batch size."""

import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import cycle, islice
from multiprocessing import get_context
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np

from job.bench.ground import Ground, model_inputs
from model.bundles.bundle import Bundle, load_module

_WARM_CALLS = 20
_PATIENCE_S = 120.0
_LAYOUTS = ((2, 1), (1, 2))
"""(processes, torch's threads in each)."""
_state: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class ModelSpeed:
    """One way to use both cores.

    Attributes:
        processes: that score at the same time.
        threads: of torch in each.
        batch_size: histories a call.
        users_per_s: histories a second, over all processes.
    """

    processes: int
    threads: int
    batch_size: int
    users_per_s: float


@dataclass(frozen=True, slots=True)
class ModelAlone:
    """All ways that were tried; the best counts.

    Attributes:
        history_mean: items in a history of the timed ones, at most 50.
        tried: each way.
    """

    history_mean: float
    tried: tuple[ModelSpeed, ...]

    @property
    def best(self) -> ModelSpeed:
        """The quickest."""
        return max(self.tried, key=lambda speed: speed.users_per_s)


def measure_model(ground: Ground) -> ModelAlone:
    """Tries every batch size with two processes of one thread, and with one process of two."""
    history, exclude = model_inputs(ground)
    inputs = ground.folder / "histories.npz"
    np.savez(inputs, history=history, exclude=exclude)
    tried: list[ModelSpeed] = []
    for processes, threads in _LAYOUTS:
        spawn = get_context("spawn")
        given = (ground.bundle.path, inputs, threads, spawn.Barrier(processes))
        with ProcessPoolExecutor(processes, spawn, initializer=_load, initargs=given) as pool:
            for size in ground.scale.batch_sizes:
                ground.say(f"{processes} x {threads} threads, batches of {size}")
                speeds = list(pool.map(_measure, *([value] * processes for value in (size, ground.scale.model_s))))
                tried.append(ModelSpeed(processes, threads, size, sum(speeds)))
    return ModelAlone(float((history > 0).sum(1).mean()), tuple(tried))


def _load(bundle: Path, inputs: Path, threads: int, together: Barrier) -> None:
    """In a process of the pool: the model and its inputs, once."""
    import torch

    torch.set_num_threads(threads)
    arrays = np.load(inputs)
    _state["module"] = load_module(Bundle.load(bundle))
    _state["inputs"] = tuple(torch.from_numpy(arrays[name]) for name in ("history", "exclude"))
    _state["together"] = together


def _measure(batch_size: int, seconds: float) -> float:
    """Histories a second in this process, from the moment all are warm."""
    batches = cycle(_batches(batch_size))
    for batch in islice(batches, _WARM_CALLS):
        _call(batch)
    _state["together"].wait(_PATIENCE_S)
    calls, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        _call(next(batches))
        calls += 1
    return batch_size * calls / (time.perf_counter() - began)


def _batches(size: int) -> list[tuple[Any, ...]]:
    """All inputs, in batches; what is left over is left out."""
    import torch

    history, exclude = _state["inputs"]
    unused = torch.zeros((size, history.shape[1]), dtype=torch.float32)
    starts = range(0, len(history) - size + 1, size)
    return [(history[at : at + size], unused, unused, exclude[at : at + size]) for at in starts]


def _call(batch: tuple[Any, ...]) -> None:
    import torch

    with torch.inference_mode():
        _state["module"](*batch)
