"""The training loop: windows in, steps out; alone, or in each of several processes that train one model together.

All processes draw the same windows, and each takes its share of a step's. The loss of a step is the mean over all real
positions of its windows, in whichever process they are: a process's mean counts by its share of the positions. So one
process and several take the same steps, but for rounding and for dropout, which each process draws for itself.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from model.datasets.interactions import Ints
from model.networks.losses import next_item_loss
from model.networks.sequence import SequenceRecommender
from model.training.checkpoint import TrainingState
from model.training.draws import Negatives, draw_apart, random_state, set_random_state
from model.training.precision import precision_of
from model.training.process_group import ProcessGroup
from model.training.train_config import EpochDone, OnEpoch, TrainConfig
from model.training.windows import WindowSource, own_share

WARM_UP = 0.1
"""Share of the steps in which the learning rate rises."""


class NextItem(nn.Module):  # type: ignore[misc]  # torch is untyped here
    """A model and its loss as one module, whose gradients the processes share."""

    def __init__(self, model: SequenceRecommender, negatives: int) -> None:
        """Combine the model with its loss over so many negatives; 0 is the full softmax."""
        super().__init__()
        self.model = model
        self._negatives = negatives

    def forward(self, windows: Tensor, drawn: Tensor | None) -> Tensor:
        """Return the mean cross entropy of the next item. (B, L + 1), (S,) or None to draw now -> scalar."""
        return next_item_loss(self.model, windows, self._negatives, drawn)


class TrainingLoop:
    """One process's part of a training.

    Attributes:
        epoch: the current epoch, from 1.
        step: the number of its steps that are done; 0 between two epochs.
    """

    def __init__(
        self,
        model: SequenceRecommender,
        windows: WindowSource,
        negatives: int,
        settings: TrainConfig,
        group: ProcessGroup,
        objective: nn.Module,
    ) -> None:
        """Begin at epoch 1; `objective` holds the model, is called as `NextItem`, and returns the loss to minimise."""
        self._model = model
        self._windows = windows
        self._settings = settings
        self._group = group
        shared = negatives if group.size > 1 else 0
        self._negatives = Negatives(model.item.num_embeddings - 1, shared, group.device)
        self._objective = group.wrap(objective)
        self._precision = precision_of(settings.precision, group.device)
        self._optimizer = torch.optim.AdamW(
            model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        self._schedule = _schedule_of(self._optimizer, windows, settings)
        self.epoch, self.step = 1, 0
        self._epoch_windows = windows.state
        self._losses: list[Tensor] = []
        self._earlier = torch.zeros(0, dtype=torch.float64)
        if not group.leads:
            draw_apart(settings.seed, group.rank)

    @property
    def is_done(self) -> bool:
        """True if all epochs are done."""
        return self.epoch > self._settings.epochs

    def run(self, on_epoch: OnEpoch, between: Callable[[], None]) -> None:
        """Train to the end.

        Args:
            on_epoch: called after each epoch, in the process that leads.
            between: called after each step, and after each epoch once `on_epoch` was called.
        """
        self._model.train()
        while not self.is_done:
            windows, size = self._windows.draw(), self._settings.batch_size
            for start in range(self.step * size, len(windows), size):  # a resumed epoch has steps that are done
                self._losses.append(self._step(windows[start : start + size]))
                self.step += 1
                between()
            del windows  # else they would be there beside the next epoch's
            loss = float(np.mean(self._epoch_losses().numpy()))
            done = EpochDone(epoch=self.epoch, epochs=self._settings.epochs, loss=loss)
            self._begin(self.epoch + 1)
            if self._group.leads:
                on_epoch(done)
            between()

    def state(self, training: str) -> TrainingState:
        """Return the state between two steps, under the name `training`; a collective operation of all processes."""
        return TrainingState(
            training=training,
            epoch=self.epoch,
            step=self.step,
            losses=self._epoch_losses(),
            model=self._model.state_dict(),
            optimizer=self._optimizer.state_dict(),
            schedule=self._schedule.state_dict(),
            precision=self._precision.state,
            windows=self._epoch_windows,
            random=self._group.gather(random_state(self._group.device)),
            negatives=self._negatives.state,
        )

    def restore(self, state: TrainingState) -> None:
        """Go on from a state that `state` returned; a process that it lacks draws apart from the others."""
        self._model.load_state_dict(state.model)
        self._optimizer.load_state_dict(state.optimizer)
        self._schedule.load_state_dict(state.schedule)
        self._precision.state = state.precision
        self._windows.state = state.windows
        self._begin(state.epoch)
        self.step, self._earlier = state.step, state.losses
        rank = self._group.rank
        if rank < len(state.random):
            set_random_state(self._group.device, state.random[rank])
        else:
            draw_apart(self._settings.seed, rank, state.epoch)
        self._negatives.state = state.negatives

    def _begin(self, epoch: int) -> None:
        self.epoch, self.step = epoch, 0
        self._epoch_windows = self._windows.state
        self._losses, self._earlier = [], self._earlier[:0]

    def _step(self, windows: Ints) -> Tensor:
        """Take one step. (B, L + 1) -> this process's part of the mean loss, scalar."""
        self._optimizer.zero_grad(set_to_none=True)
        own, share = own_share(windows, self._group.rank, self._group.size)
        with self._precision.forward():
            loss = self._objective(torch.from_numpy(own).to(self._group.device), self._negatives.draw()) * share
        self._precision.backward(loss * self._group.size)  # gradients are averaged over the processes, not added up
        self._precision.step(self._optimizer, self._model.parameters())
        self._schedule.step()
        return loss.detach()

    def _epoch_losses(self) -> Tensor:
        """Return the losses of the epoch's steps so far, over all processes; collective. -> float64 (steps,)."""
        if not self._losses:
            return self._earlier
        return torch.cat([self._earlier, self._group.sum(torch.stack(self._losses).double())])


def _schedule_of(
    optimizer: torch.optim.Optimizer, windows: WindowSource, settings: TrainConfig
) -> torch.optim.lr_scheduler.OneCycleLR:
    """Schedule the learning rate over a whole training: it rises for a tenth of the steps, then falls to zero.

    This is the 1cycle policy (Smith and Topin 2018).
    """
    steps = settings.epochs * (windows.most // settings.batch_size + 1)
    if WARM_UP * steps == 1:
        steps += 1  # torch divides by the number of rising steps less one
    return torch.optim.lr_scheduler.OneCycleLR(optimizer, settings.learning_rate, total_steps=steps, pct_start=WARM_UP)
