"""Measurement of compressed models beside the original, as they are served: bytes, users per second, accuracy."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from torch import nn

from model.compression.methods import CompressionError
from model.compression.outcomes import BATCH, Figures, Outcome
from model.compression.throughput import Throughput, throughput
from model.datasets.interactions import Flags
from model.evaluation.evaluate import TOP, Evaluation, Gains, Ranking, Targets, evaluation_of, rank
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
    before: Served, made: Mapping[str, Served], targets: Targets, max_loss: float, progress: Progress
) -> Measured:
    """Measure the original and the compressed models on the same targets.

    Args:
        before: the original model.
        made: method -> compressed model.
        targets: behaviours later than any that the models were trained on.
        max_loss: share of NDCG@10 that may be lost.
        progress: called with each stage's name.

    Raises:
        CompressionError: the original model predicts no target, so a loss cannot be measured.
    """
    models = {"": before, **made}
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
    figures = {n: _figures(models[n].size, batched[n], alone[n], rankings[n]) for n in models}
    outcomes = tuple(
        Outcome(
            way=way,
            figures=figures[way],
            faster=batched[way].faster,
            faster_alone=alone[way].faster,
            hr=_gained(rankings[way].hits(TOP), rankings[""].hits(TOP), targets),
            ndcg=_gained(rankings[way].gains(TOP), rankings[""].gains(TOP), targets),
            ndcg_lost=(lost := 1.0 - figures[way].ndcg_10 / figures[""].ndcg_10),
            refused=lost > max_loss,
        )
        for way in made
    )
    return Measured(figures[""], outcomes, {way: evaluation_of(rankings[way], targets) for way in made})


def _figures(size: int, batched: Throughput, alone: Throughput, ranking: Ranking) -> Figures:
    return Figures(
        model_bytes=size,
        users_per_s=batched.users_per_s,
        users_per_s_alone=alone.users_per_s,
        hr_10=float(ranking.hits(TOP).mean()),
        ndcg_10=float(ranking.gains(TOP).mean()),
    )


def _gained(after: Gains | Flags, before: Gains | Flags, targets: Targets) -> Interval:
    return paired_bootstrap(after.astype(np.float64), before.astype(np.float64), targets.user)
