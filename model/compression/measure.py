"""Measurement of compressed models beside the original, as they are served: bytes, users per second, accuracy."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from model.compression.cells import recall
from model.compression.methods import CompressionError
from model.compression.outcomes import BATCH, Figures, Outcome
from model.compression.throughput import throughput
from model.datasets.interactions import Flags
from model.evaluation.evaluate import TOP, Evaluation, Gains, Targets, evaluation_of, rank
from model.evaluation.measures import Interval, paired_bootstrap
from model.recommenders.kinds import Progress

_RECALLED = 1_000
"""Targets whose ten best items are compared, at most."""


@dataclass(frozen=True, slots=True)
class Served:
    """A model as a bundle holds it.

    Attributes:
        size: size of the TorchScript file, bytes.
        module: the file's module, loaded on the CPU.
    """

    size: int
    module: nn.Module


@dataclass(frozen=True, slots=True)
class Measured:
    """The results of a measurement.

    Attributes:
        before: figures of the original model.
        outcomes: a result for each compressed model, in their order.
        evaluations: method -> accuracy of its model.
    """

    before: Figures
    outcomes: tuple[Outcome, ...]
    evaluations: Mapping[str, Evaluation]


def measure(
    before: Served, compressed: Mapping[str, Served], targets: Targets, max_loss: float, progress: Progress
) -> Measured:
    """Measure the original and the compressed models on the same targets.

    Args:
        before: the original model.
        compressed: method -> compressed model.
        targets: behaviours later than any that the models were trained on.
        max_loss: share of NDCG@10 that may be lost.
        progress: called with each stage's name.

    Raises:
        CompressionError: the original model predicts no target, so a loss cannot be measured.
    """
    models = {"": before, **compressed}
    progress("measuring speed")
    modules = {name: model.module for name, model in models.items()}
    batched, alone = throughput(modules, targets, min(BATCH, len(targets))), throughput(modules, targets, 1)
    progress("measuring accuracy")
    rankings = {name: rank(model.module, targets) for name, model in models.items()}
    if not rankings[""].hits(TOP).any():
        later = f"{len(targets):,} behaviours after its cut-off"
        msg = f"the bundle foresees none of the {later}: what is lost is not known"
        raise CompressionError(msg)
    figures = {
        name: Figures(
            model_bytes=model.size,
            users_per_s=batched[name].users_per_s,
            users_per_s_alone=alone[name].users_per_s,
            hr_10=float(rankings[name].hits(TOP).mean()),
            ndcg_10=float(rankings[name].gains(TOP).mean()),
        )
        for name, model in models.items()
    }
    outcomes = tuple(
        Outcome(
            way=method,
            figures=figures[method],
            faster=batched[method].faster,
            faster_alone=alone[method].faster,
            hr=_gained(rankings[method].hits(TOP), rankings[""].hits(TOP), targets),
            ndcg=_gained(rankings[method].gains(TOP), rankings[""].gains(TOP), targets),
            ndcg_lost=(lost := 1.0 - figures[method].ndcg_10 / figures[""].ndcg_10),
            recall=_recall(compressed[method].module, targets),
            refused=lost > max_loss,
        )
        for method in compressed
    )
    return Measured(figures[""], outcomes, {method: evaluation_of(rankings[method], targets) for method in compressed})


def _recall(module: nn.Module, targets: Targets) -> float | None:
    """Return the share of a model's best items that it finds in its cells; None if it has none."""
    in_cells: list[Any] = [part for part in module.modules() if hasattr(part, "probes")]
    if not in_cells:
        return None
    some = _some(targets)
    found = rank(module, some)
    probes = [part.probes for part in in_cells]
    try:
        for part in in_cells:
            part.probes = 0
        exact = rank(module, some)
    finally:
        for part, before in zip(in_cells, probes, strict=True):
            part.probes = before
    return recall(*(torch.from_numpy(each.items[:, :TOP]) for each in (exact, found)))


def _some(targets: Targets) -> Targets:
    """Return some of the targets, drawn once and for all."""
    rows = np.sort(np.random.default_rng(0).permutation(len(targets))[:_RECALLED])
    arrays = {name: getattr(targets, name)[rows] for name in ("user", "history", "weight", "age_s", "target", "known")}
    return Targets(seen=tuple(targets.seen[row] for row in rows.tolist()), items=targets.items, **arrays)


def _gained(after: Gains | Flags, before: Gains | Flags, targets: Targets) -> Interval:
    return paired_bootstrap(after.astype(np.float64), before.astype(np.float64), targets.user)
