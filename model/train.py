"""Trains a sequence model on the histories of a log: a library; who wants to show progress passes a callback."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from model.interactions import Interactions, Ints
from model.sequence import SequenceConfig, SequenceRecommender
from model.sequence_losses import negatives_for, next_item_loss


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """How to train.

    Attributes:
        epochs: passes over the data.
        batch_size: windows a step; 32 took less time than 64 on CPU and needs fewer epochs.
        learning_rate: peak of AdamW's; it rises for a tenth of the steps and then falls to zero.
        weight_decay: of AdamW.
        negatives: items drawn a step to compare the next one with; 0 compares with all (full softmax), None
            does so up to 20,000 items and draws 4,096 above.
        seed: of initial weights, order, windows and dropout.
        device: cpu or cuda.
    """

    epochs: int = 14
    batch_size: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    negatives: int | None = None
    seed: int = 0
    device: str = "cpu"


@dataclass(frozen=True, slots=True)
class EpochDone:
    """Told to the progress callback after an epoch.

    Attributes:
        epoch: its number, from 1.
        epochs: how many there will be.
        loss: mean cross entropy of the next item, nats.
    """

    epoch: int
    epochs: int
    loss: float


Progress = Callable[[EpochDone], None]


def train(
    training: Interactions, config: SequenceConfig, how: TrainConfig, progress: Progress = lambda _: None
) -> SequenceRecommender:
    """Trains a model on the histories in `training`.

    Args:
        training: behaviours before the cut-off, in the vocabulary of `config.items` items.
        config: size and kind of the model.
        how: optimiser and seed. One thread count, seed and machine give one result.
        progress: called after each epoch.

    Raises:
        ValueError: no user has two items, so there is nothing to learn from.
    """
    histories = training.histories()
    sequences = [histories.item[rows] for _, rows in histories.rows_by_user() if len(rows) > 1]
    if not sequences:
        msg = "no user has two history behaviours before the cut-off; take more data or a later cut-off"
        raise ValueError(msg)
    torch.manual_seed(how.seed)
    model = config.build(histories.counts())
    model.to(how.device)
    _Loop(model, sequences, config, how).run(progress)
    model.eval()
    return model


class _Loop:
    """The training loop: windows in, steps out."""

    def __init__(
        self, model: SequenceRecommender, sequences: list[Ints], config: SequenceConfig, how: TrainConfig
    ) -> None:
        self._model = model
        self._sequences = sequences
        self._length = length = config.history_length
        self._negatives = negatives_for(config.items, how.negatives)
        self._how = how
        self._random = np.random.default_rng(how.seed)
        self._optimizer = torch.optim.AdamW(model.parameters(), lr=how.learning_rate, weight_decay=how.weight_decay)
        steps = how.epochs * (sum(len(s) // length + 2 for s in sequences) // how.batch_size + 1)
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(
            self._optimizer, how.learning_rate, total_steps=steps, pct_start=0.1
        )

    def run(self, progress: Progress) -> None:
        self._model.train()
        for epoch in range(1, self._how.epochs + 1):
            losses = [self._step(batch) for batch in self._batches()]
            progress(EpochDone(epoch, self._how.epochs, float(np.mean(losses))))

    def _batches(self) -> Iterator[Tensor]:
        windows = draw_windows(self._sequences, self._length, self._random)
        self._random.shuffle(windows)
        for start in range(0, len(windows), self._how.batch_size):
            yield torch.from_numpy(windows[start : start + self._how.batch_size]).to(self._how.device)

    def _step(self, windows: Tensor) -> float:
        self._optimizer.zero_grad(set_to_none=True)
        loss = next_item_loss(self._model, windows, self._negatives)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._model.parameters(), 1.0)
        self._optimizer.step()
        self._schedule.step()
        return float(loss.detach())


def draw_windows(sequences: list[Ints], length: int, random: np.random.Generator) -> Ints:
    """Cuts every sequence into windows at a random offset, so that each item is a target once.

    Returns:
        (W, length + 1): inputs and, shifted by one, targets; 0 pads on the left.
    """
    cut = [window for s in sequences for window in _cut(s, length, int(random.integers(length)))]
    windows = np.zeros((len(cut), length + 1), dtype=np.int64)
    for number, window in enumerate(cut):
        windows[number, length + 1 - len(window) :] = window
    return windows


def _cut(sequence: Ints, length: int, offset: int) -> Iterator[Ints]:
    """Neighbouring windows share one item: the last target of one is the first input of the next."""
    first = offset if len(sequence) > length + 1 else 0
    starts = [*([0] if first else []), *range(first, len(sequence) - 1, length)]
    ends = [*starts[1:], len(sequence) - 1]
    return (sequence[start : end + 1] for start, end in zip(starts, ends, strict=True))
