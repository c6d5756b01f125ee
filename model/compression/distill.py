"""Distillation: a smaller model of the same kind, which learns what the large one has learned."""

from dataclasses import replace

import numpy as np
import torch

from model.compression.prune import kept_of, smaller
from model.compression.rebuild import Sized
from model.compression.teacher import School, taught
from model.networks.linear_recurrence import LinearRecurrenceConfig
from model.networks.sasrec import SASRecConfig
from model.networks.sequence import SequenceConfig


def distilled(before: Sized, school: School) -> Sized:
    """A smaller model, after a whole training."""
    return taught(student_of(before, school.keep, school.how.seed), school)


def student_of(teacher: Sized, keep: float, seed: int) -> Sized:
    """An untaught student; tensors that it has by the same name and shape, items above all, begin as the teacher's.

    Args:
        teacher: the larger model.
        keep: share of the teacher's layers, or of what is in them where there is but one.
        seed: of the weights that are drawn.
    """
    config = student_config(teacher.config, keep)
    torch.manual_seed(seed)
    model = config.build(np.zeros(config.items + 1, dtype=np.int64))
    drawn, learned = model.state_dict(), teacher.model.state_dict()
    model.load_state_dict({n: learned[n] if _fits(learned.get(n), w) else w for n, w in drawn.items()})
    return Sized(config, model)


def student_config(config: SequenceConfig, keep: float) -> SequenceConfig:
    """Fewer layers; of one layer, fewer units."""
    if isinstance(config, SASRecConfig | LinearRecurrenceConfig) and config.layers > 1:
        return replace(config, layers=kept_of(config.layers, keep))
    return smaller(config, keep)


def _fits(learned: torch.Tensor | None, drawn: torch.Tensor) -> bool:
    return learned is not None and learned.shape == drawn.shape
