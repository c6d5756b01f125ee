"""(a) The TorchScript model alone: histories a second on both cores, at the best batch size."""

import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice
from multiprocessing import get_context
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import numpy.typing as npt

from job.bench.live import job_settings
from job.bench.workload import Workload, model_inputs
from job.topology.rules import device_rules
from model.bundles.bundle import Bundle, load_module
from udfs.scoring.scoring_rules import DeviceRules

_WARMED, _FEWEST_WARM_CALLS = 100, 4
"""Histories and calls before timing begins: TorchScript specialises in its first calls of a shape."""
_PATIENCE_S = 120.0
_LAYOUTS = ((2, 1), (1, 2))
"""(processes, torch's threads in each), on both cores; a GPU is asked by one process of one thread, as in the job."""
Ints = npt.NDArray[np.int64]
_state: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class ModelSpeed:
    """The speed of one layout of processes and threads over both cores.

    Attributes:
        processes: the processes that score at the same time.
        threads: torch's threads in each.
        batch_size: histories in a call.
        users_per_s: histories a second, over all processes.
    """

    processes: int
    threads: int
    batch_size: int
    users_per_s: float


@dataclass(frozen=True, slots=True)
class ModelAlone:
    """The layouts and batch sizes that were tried; the best counts.

    Attributes:
        history_mean: the mean number of items in the timed histories, each at most 50.
        tried: the speed of each layout with each batch size.
    """

    history_mean: float
    tried: tuple[ModelSpeed, ...]

    @property
    def best(self) -> ModelSpeed:
        """The quickest one."""
        return max(self.tried, key=lambda speed: speed.users_per_s)


def measure_model(workload: Workload) -> ModelAlone:
    """Measure the model on the histories of the timed behaviours."""
    return tried_with(workload, *model_inputs(workload), workload.scale.batch_sizes)


def tried_with(workload: Workload, history: Ints, exclude: Ints, batch_sizes: Sequence[int]) -> ModelAlone:
    """Try every batch size with two processes of one thread, and with one process of two threads.

    Args:
        workload: its bundle is the model.
        history: model indexes, 0 pads; as many rows as the largest batch, or more. (N, L).
        exclude: likewise. (N, E).
        batch_sizes: histories in a call.
    """
    inputs = workload.folder / "histories.npz"
    np.savez(inputs, history=history, exclude=exclude)
    tried: list[ModelSpeed] = []
    device = device_rules(job_settings(workload, workload.folder))
    for processes, threads in _LAYOUTS if device.name == "cpu" else ((1, 1),):
        spawn = get_context("spawn")
        given = (workload.bundle.path, inputs, threads, device, spawn.Barrier(processes))
        with ProcessPoolExecutor(processes, spawn, initializer=_load, initargs=given) as pool:
            for size in batch_sizes:
                workload.report(f"{processes} x {threads} threads, batches of {size}")
                speeds = list(pool.map(_measure, *([value] * processes for value in (size, workload.scale.model_s))))
                tried.append(ModelSpeed(processes, threads, size, sum(speeds)))
    return ModelAlone(float((history > 0).sum(1).mean()), tuple(tried))


def _load(bundle: Path, inputs: Path, threads: int, device: DeviceRules, together: Barrier) -> None:
    """Load the model and its inputs, once in each process of the pool."""
    import torch

    from udfs.scoring.device import open_device

    torch.set_num_threads(threads)
    arrays = np.load(inputs)
    runner = open_device(device)
    _state["call"] = partial(runner.run, load_module(Bundle.load(bundle), runner.name))
    _state["inputs"] = tuple(arrays[name] for name in ("history", "exclude"))
    _state["together"] = together


def _measure(batch_size: int, seconds: float) -> float:
    """Return histories a second in this process, timed once all processes are warm."""
    call = _state["call"]
    history, exclude = _state["inputs"]
    unused = np.zeros((batch_size, history.shape[1]), dtype=np.float32)
    starts = range(0, len(history) - batch_size + 1, batch_size)  # without an incomplete last batch
    slices = (slice(start, start + batch_size) for start in starts)
    batches = cycle([(history[rows], unused, unused, exclude[rows]) for rows in slices])
    for batch in islice(batches, max(_FEWEST_WARM_CALLS, _WARMED // batch_size)):
        call(*batch)
    _state["together"].wait(_PATIENCE_S)
    calls, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        call(*next(batches))
        calls += 1
    return batch_size * calls / (time.perf_counter() - began)
