"""Training of a student from a teacher: on the next item and the teacher's likelihoods (Hinton et al. 2015).

The teacher reads the same windows and predicts at every position, so one pass of it gives targets for a whole window.
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
from model.training.train import OnEpoch, TrainConfig
from model.training.windows import WindowSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Distillation:
    """The teacher, data and options for training smaller models.

    Attributes:
        teacher: the large model, in evaluation mode.
        training: the behaviours that it was trained on, in its vocabulary.
        settings: those of a whole training; one thread count, seed and machine give one result.
        keep: share of the units or layers that smaller models keep.
        share: share of the loss that comes from the teacher's likelihoods; the rest comes from the next item.
        temperature: divisor of the logits before they are compared; above 1, unlikely items count more.
        on_epoch: called after each epoch.
    """

    teacher: SequenceRecommender
    training: Interactions
    settings: TrainConfig
    keep: float
    share: float = 0.5
    temperature: float = 2.0
    on_epoch: OnEpoch = lambda _: None


def train_student(sized: Sized, distillation: Distillation) -> Sized:
    """Train a model in place from the teacher, and return it in evaluation mode.

    Raises:
        ValueError: no user has two items, so there is nothing to learn from.
    """
    settings, student = distillation.settings, sized.model
    windows = windows_of(distillation.training, sized.config.history_length, settings.seed)
    torch.manual_seed(settings.seed)
    negatives = negatives_for(sized.config.items, settings.negatives)
    objective = _DistillationObjective(student, distillation, negatives)
    loop = TrainingLoop(student, windows, negatives, settings, alone("cpu"), objective)
    loop.run(distillation.on_epoch, between=lambda: None)
    student.eval()
    return sized


class _DistillationObjective(nn.Module):  # type: ignore[misc]  # torch is untyped here
    """The distillation loss of a student as a module, as the training loop expects it."""

    def __init__(self, student: SequenceRecommender, distillation: Distillation, negatives: int) -> None:
        super().__init__()
        self.student = student
        self._distillation = distillation
        self._negatives = negatives

    def forward(self, windows: Tensor, _drawn: Tensor | None) -> Tensor:
        """Return `distillation_loss` of the windows. (B, L + 1) -> scalar.

        Distillation runs in one process, so the negatives are drawn here and `_drawn` is ignored.
        """
        return distillation_loss(self.student, windows, self._distillation, self._negatives)


def windows_of(training: Interactions, length: int, seed: int) -> WindowSource:
    """Return the source of a training's windows, which draws them anew in every epoch from a log's histories.

    Args:
        training: behaviours before the cut-off.
        length: number of inputs in a window.
        seed: seed of the draws.

    Raises:
        ValueError: no user has two items, so there is nothing to learn from.
    """
    return WindowSource(sequences_of(training), length, seed)


def distillation_loss(
    student: SequenceRecommender, windows: Tensor, distillation: Distillation, negatives: int = 0
) -> Tensor:
    """Return the student's loss: cross entropy of the next item and divergence from the teacher, in nats.

    Args:
        student: the model to train; it gets the gradients.
        windows: int64 (B, L + 1).
        distillation: the teacher, which gets no gradients, with share and temperature.
        negatives: number of drawn items; student and teacher are compared on these and the batch's own targets. 0
            compares them on all items.
    """
    teacher = distillation.teacher
    inputs, targets = windows[:, :-1], windows[:, 1:]  # (B, L) each
    real = inputs > 0
    hidden, wanted = student.hidden(inputs)[real], targets[real]  # (P, D), (P,)
    with torch.no_grad():
        teacher_hidden = teacher.hidden(inputs)[real]  # (P, its D)
    if negatives:
        drawn = draw_negatives(student.item.num_embeddings - 1, negatives, hidden.device)
        items = torch.cat([wanted, drawn]).unique()
        hard = sampled_softmax(student, hidden, wanted, drawn)
    else:
        items = torch.arange(1, student.item.num_embeddings, device=hidden.device)
        hard = full_softmax(student, hidden, wanted)
    share, temperature = distillation.share, distillation.temperature
    student_logs = _softened(student, hidden, items, temperature)  # (P, I)
    teacher_logs = _softened(teacher, teacher_hidden, items, temperature).detach()  # (P, I)
    soft = F.kl_div(student_logs, teacher_logs, reduction="batchmean", log_target=True)
    # Gradients of the softened part shrink with the square of the temperature, so it is scaled back.
    return (1.0 - share) * hard + share * temperature**2 * soft


def _softened(model: SequenceRecommender, hidden: Tensor, items: Tensor, temperature: float) -> Tensor:
    """Return the log-likelihoods of some items at a temperature. (P, D), (I,) -> (P, I)."""
    logits = F.linear(hidden, model.item.weight[items], model.bias[items])
    return F.log_softmax(logits / temperature, 1)
