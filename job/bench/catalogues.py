"""Catalogues of growing size: what a list costs, exactly and with the items in cells, memory, and time to load.

The models are SASRecs as wide as the bench's, with embeddings drawn around centres. Recall is that of states drawn like
the embeddings, as training makes them: a bundle has its own, in its manifest. Each model is measured in a process of
its own, on one thread.
"""

import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from job.bench.workload import HISTORY, LISTED, Workload

_DIM, _BLOCKS = 64, 2
_BATCH = 52
"""The mean of the job's calls at its limit."""
_EXCLUDED = 128
_CENTRES = 1_000
_SPREAD = 0.5
_PROBES = (8, 16, 32, 64, 128)
_WARM_CALLS = 3


@dataclass(frozen=True, slots=True)
class Scored:
    """The cost of one model.

    Attributes:
        probes: the cells whose items are scored; 0: all items are.
        cpu_us: CPU microseconds a list, of the model's call.
        recall: share of the exact best items that are found.
        load_s: seconds until it is loaded, from a file in memory.
        resident_mb: megabytes that it adds to the process.
    """

    probes: int
    cpu_us: float
    recall: float
    load_s: float
    resident_mb: float


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The figures of one catalogue.

    Attributes:
        items: its size.
        file_mb: megabytes of the TorchScript file, exact.
        cells_s: seconds in which the items were sorted into cells.
        neighbors_s: seconds in which the neighbour table was made, a part of each training.
        exact: the model that scores all items.
        in_cells: the models that score a few cells, by rising number.
    """

    items: int
    file_mb: float
    cells_s: float
    neighbors_s: float
    exact: Scored
    in_cells: tuple[Scored, ...]


def measure_catalogues(workload: Workload) -> tuple[Catalogue, ...]:
    """Measure each catalogue of the scale, the smallest first."""
    return tuple(_measured(workload, items) for items in workload.scale.catalogues)


def _measured(workload: Workload, items: int) -> Catalogue:
    workload.report(f"a catalogue of {items:,} items")
    folder = workload.folder / f"catalogue-{items}"
    folder.mkdir(parents=True, exist_ok=True)
    cells_s, neighbors_s = _alone(_make, folder, items)
    workload.report(f"scoring {items:,} items")
    scored = [_alone(_score, folder, items, probes, workload.scale.model_s) for probes in (0, *_PROBES)]
    size = (folder / "exact.pt").stat().st_size / 1e6
    return Catalogue(items, size, cells_s, neighbors_s, scored[0], tuple(scored[1:]))


def _alone(call: Any, *arguments: object) -> Any:
    """Call in a new process, whose memory is its own."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(call, *arguments).result()


def _make(folder: Path, items: int) -> tuple[float, float]:
    """Write the models, and return the seconds for the cells and for the neighbour table."""
    import torch

    from model.bundles.torchscript import save_script
    from model.networks.cells import CellItems
    from model.networks.sasrec import SASRec, SASRecConfig
    from model.recommenders.neighbors import nearest_neighbors

    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = SASRecConfig(items=items, history_length=HISTORY, dim=_DIM, layers=_BLOCKS, k=LISTED)
    model = SASRec(config, np.ones(items + 1, dtype=np.int64)).eval().requires_grad_(False)
    model.item.weight.data = _drawn(items + 1, items, seed=0) / _DIM**0.5
    (folder / "exact.pt").write_bytes(save_script(model))
    began = time.perf_counter()
    nearest_neighbors(model.item.weight, LISTED)
    neighbors_s = time.perf_counter() - began
    began = time.perf_counter()
    model.item = CellItems(model.item, model.bias, _PROBES[0])
    cells_s = time.perf_counter() - began
    (folder / "cells.pt").write_bytes(save_script(model))
    return cells_s, neighbors_s


def _drawn(count: int, items: int, *, seed: int) -> Any:
    """Draw vectors around the centres of a catalogue. -> (count, D)."""
    import torch

    of_centres, random = torch.Generator().manual_seed(0), torch.Generator().manual_seed(seed)
    centres = torch.randn(min(_CENTRES, items // 10), _DIM, generator=of_centres)
    own = centres[torch.randint(len(centres), (count,), generator=random)]
    return own + _SPREAD * torch.randn(count, _DIM, generator=random)


def _score(folder: Path, items: int, probes: int, seconds: float) -> Scored:
    """Load a model and time its calls, after those that TorchScript specialises in."""
    import torch
    import torch.nn.functional as F

    from model.bundles.torchscript import load_script
    from model.compression.cells import recall

    torch.set_num_threads(1)
    content = (folder / ("cells.pt" if probes else "exact.pt")).read_bytes()
    before = psutil.Process().memory_info().rss
    began = time.perf_counter()
    model: Any = load_script(content, "cpu")
    load_s = time.perf_counter() - began
    resident_mb = (psutil.Process().memory_info().rss - before) / 1e6
    random = np.random.default_rng(0)
    history = torch.from_numpy(random.integers(1, items + 1, (_BATCH, HISTORY)))
    exclude = torch.from_numpy(np.pad(history.numpy(), ((0, 0), (0, _EXCLUDED - HISTORY))))
    unused = torch.zeros(history.shape)
    with torch.inference_mode():
        found = 1.0
        if probes:
            states = F.layer_norm(_drawn(_BATCH, items, seed=1), [_DIM])
            model.item.probes = 0
            exact = model.item.best(states, model.bias, exclude, LISTED)[0]
            model.item.probes = probes
            found = recall(exact, model.item.best(states, model.bias, exclude, LISTED)[0])
        for _ in range(_WARM_CALLS):
            model(history, unused, unused, exclude)
        calls, began, cpu = 0, time.perf_counter(), time.process_time()
        while time.perf_counter() - began < seconds or not calls:
            model(history, unused, unused, exclude)
            calls += 1
        spent = time.process_time() - cpu
    return Scored(probes, spent / calls / _BATCH * 1e6, found, load_s, resident_mb)
