"""Distillation: a smaller model of the same kind learns from the large one."""

from dataclasses import replace

import numpy as np
import torch

from model.compression.prune import kept_of, smaller
from model.compression.rebuild import Sized
from model.compression.teacher import Distillation, train_student
from model.networks.linear_recurrence import LinearRecurrenceConfig
from model.networks.sasrec import SASRecConfig


def distilled(before: Sized, distillation: Distillation) -> Sized:
    """Return a smaller model, trained in full from the teacher."""
    return train_student(student_of(before, distillation.keep, distillation.settings.seed), distillation)


def student_of(teacher: Sized, keep: float, seed: int) -> Sized:
    """Build an untrained student from the teacher's tensors where name and shape agree; draw the others.

    The item embeddings, above all, begin as the teacher's (as in DistilBERT, Sanh et al. 2019).

    Args:
        teacher: the larger model.
        keep: share of the teacher's layers, or of the units in its layer if it has only one.
        seed: seed of the drawn weights.
    """
    config = teacher.config
    if isinstance(config, SASRecConfig | LinearRecurrenceConfig) and config.layers > 1:
        config = replace(config, layers=kept_of(config.layers, keep))
    else:
        config = smaller(config, keep)
    torch.manual_seed(seed)
    model = config.build(np.zeros(config.items + 1, dtype=np.int64))
    weights = model.state_dict()
    for name, learned in teacher.model.state_dict().items():
        if name in weights and weights[name].shape == learned.shape:
            weights[name] = learned
    model.load_state_dict(weights)
    return Sized(config, model)
