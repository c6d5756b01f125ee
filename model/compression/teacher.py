"""A model learns from a larger one: the next item, and how likely that one holds every other (Hinton et al. 2015).

The teacher sees the same windows and is asked at every position, so one pass of it teaches a whole window.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.compression.rebuild import Sized
from model.datasets.interactions import Interactions
from model.networks.losses import draw_negatives, full_softmax, negatives_for, sampled_softmax
from model.networks.sequence import SequenceRecommender
from model.training.loop import TrainingLoop
from model.training.member import sequences_of
from model.training.process_group import alone
from model.training.train import Progress, TrainConfig
from model.training.windows import WindowSource


@dataclass(frozen=True, slots=True, kw_only=True)
class School:
    """Where smaller models learn.

    Attributes:
        teacher: the large model, in evaluation mode.
        training: the behaviours that it was trained on, in its vocabulary.
        how: a whole training; one thread count, seed and machine give one result.
        keep: share of the units or layers that smaller models have.
        share: of the loss that the teacher's likelihoods have; the rest is the next item's.
        temperature: that logits are divided by before they are compared; above 1, unlikely items count more.
        progress: called after each epoch.
    """

    teacher: SequenceRecommender
    training: Interactions
    how: TrainConfig
    keep: float = 0.5
    share: float = 0.5
    temperature: float = 2.0
    progress: Progress = lambda _: None


def taught(sized: Sized, school: School) -> Sized:
    """Trains a model, in place, and hands it back in evaluation mode.

    Raises:
        ValueError: no user has two items, so there is nothing to learn from.
    """
    how, student = school.how, sized.model
    windows = windows_of(school.training, sized.config.history_length, how.seed)
    torch.manual_seed(how.seed)
    negatives = negatives_for(sized.config.items, how.negatives)
    lesson = Lesson(student, school, negatives)
    TrainingLoop(student, windows, negatives, how, alone("cpu"), lesson).run(school.progress, lambda: None)
    student.eval()
    return sized


class Lesson(nn.Module):  # type: ignore[misc]  # torch is untyped here
    """What a student lowers, as the training loop wants it."""

    def __init__(self, student: SequenceRecommender, school: School, negatives: int) -> None:
        super().__init__()
        self.student = student
        self._school = school
        self._negatives = negatives

    def forward(self, windows: Tensor, _drawn: Tensor | None) -> Tensor:
        """The mean of `lesson_loss`; a school is one process, so negatives are drawn in it. (B, L + 1) -> scalar."""
        return lesson_loss(self.student, windows, self._school, self._negatives)


def windows_of(training: Interactions, length: int, seed: int) -> WindowSource:
    """The windows that a training draws of a log's histories, anew in every epoch.

    Args:
        training: behaviours before the cut-off.
        length: inputs of a window.
        seed: of the draws.

    Raises:
        ValueError: no user has two items, so there is nothing to learn from.
    """
    return WindowSource(sequences_of(training), length, seed)


def lesson_loss(student: SequenceRecommender, windows: Tensor, school: School, negatives: int = 0) -> Tensor:
    """What the student lowers: cross entropy of the next item, and divergence from the teacher, in nats.

    Args:
        student: gradients go into it.
        windows: int64 (B, L + 1).
        school: the teacher, who gets no gradients, and the shares.
        negatives: items drawn to compare on; the teacher is asked about them and the batch's own. 0 compares on all.
    """
    inputs, targets = windows[:, :-1], windows[:, 1:]
    real = inputs > 0
    hidden, wanted = student.hidden(inputs)[real], targets[real]  # (P, D), (P,)
    with torch.no_grad():
        teachers = school.teacher.hidden(inputs)[real]  # (P, its D)
    if negatives:
        drawn = draw_negatives(student.item.num_embeddings - 1, negatives, hidden.device)
        items = torch.cat([wanted, drawn]).unique()
        hard = sampled_softmax(student, hidden, wanted, drawn)
    else:
        items = torch.arange(1, student.item.num_embeddings, device=hidden.device)
        hard = full_softmax(student, hidden, wanted)
    heat, share = school.temperature, school.share
    mine, its = (_softened(m, h, items, heat) for m, h in ((student, hidden), (school.teacher, teachers)))
    soft = F.kl_div(mine, its.detach(), reduction="batchmean", log_target=True)
    # Gradients of the softened part shrink by the square of the temperature.
    return (1.0 - share) * hard + share * heat**2 * soft


def _softened(model: SequenceRecommender, hidden: Tensor, items: Tensor, temperature: float) -> Tensor:
    """The log-likelihood of some items at that temperature. (P, D), (I,) -> (P, I)."""
    logits = F.linear(hidden, model.item.weight[items], model.bias[items])
    return F.log_softmax(logits / temperature, 1)
