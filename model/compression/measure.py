"""Measurement of compressed models beside the original, as they are served: bytes, users per second, accuracy."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from torch import nn

from model.compression.methods import CompressionError
from model.compression.outcomes import BATCH, Figures, Outcome
from model.compression.throughput import throughput
from model.datasets.interactions import Flags
from model.evaluation.evaluate import TOP, Evaluation, Gains, Targets, evaluation_of, rank
from model.evaluation.measures import Interval, paired_bootstrap
from model.recommenders.kinds import Progress


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
        msg = (
            f"the bundle foresees none of the {len(targets):,} behaviours after its cut-off: what is lost is not known"
        )
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
            refused=lost > max_loss,
        )
        for method in compressed
    )
    return Measured(figures[""], outcomes, {method: evaluation_of(rankings[method], targets) for method in compressed})


def _gained(after: Gains | Flags, before: Gains | Flags, targets: Targets) -> Interval:
    return paired_bootstrap(after.astype(np.float64), before.astype(np.float64), targets.user)
