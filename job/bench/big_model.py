"""The job with a model that a user would call big: a SASRec 256 wide, of 4 blocks, that reads 200 items.

It keeps its initial weights, as speed does not depend on them. Every user's history is longer than what it reads, in
the job and in the model alone, so that both compute the same.
"""

from dataclasses import dataclass, replace

import numpy as np

from job.bench.live import scoring_job
from job.bench.model_alone import ModelAlone, tried_with
from job.bench.whole_job import TimedJob, time_job
from job.bench.workload import BIG_HISTORY, Workload, train_briefly
from model.datasets.generate import Synthetic, generate

_BATCH_SIZES = (8, 16, 32)
_ROWS = 256
_EXCLUDED_STEP = 64
_OVERRIDES = (
    "scoring.parallelism=2",
    "scoring.batch_max_size=16",
    # On a CPU a call takes longer than the longest deadline there is, 200 ms; this preset has none.
    "preset=replayable",
    "scoring.elements_in_flight=16",
    f"profile.history_block={BIG_HISTORY}",
)


@dataclass(frozen=True, slots=True)
class BigModel:
    """The speeds of the big model alone and of the job with it.

    Attributes:
        items: items in the vocabulary.
        model: the model alone, on both cores.
        job: the job with two scorers.
    """

    items: int
    model: ModelAlone
    job: TimedJob


def measure_big_model(workload: Workload) -> BigModel:
    """Measure the model alone, then the job at its limit."""
    big = _workload(workload)
    random = np.random.default_rng(0)
    history = random.integers(1, big.scale.items + 1, (_ROWS, BIG_HISTORY))
    # The job leaves out what a history keeps: one and a half times what the model reads, on the mean.
    width = -(-3 * BIG_HISTORY // 2 // _EXCLUDED_STEP) * _EXCLUDED_STEP
    exclude = random.integers(1, big.scale.items + 1, (_ROWS, width))
    model = tried_with(big, history, exclude, _BATCH_SIZES)
    with scoring_job(big, "big", big.past(), big.timed(), _OVERRIDES) as live:
        return BigModel(big.scale.items, model, time_job(live))


def _workload(workload: Workload) -> Workload:
    scale = workload.scale
    past = 3 * BIG_HISTORY * scale.big_users
    scale = replace(scale, users=scale.big_users, items=scale.big_items, past=past, timed=scale.big_timed)
    folder = workload.folder / "big-model"
    folder.mkdir(parents=True, exist_ok=True)
    workload.report("generating behaviours")
    shape = Synthetic(users=scale.users, items=scale.items, behaviors=scale.past + scale.timed)
    dataset = generate(shape, folder / "data", "bench")
    bundle = train_briefly(scale, folder, workload.report, "big")
    return Workload(scale, folder, dataset, bundle, workload.overrides, workload.report)
