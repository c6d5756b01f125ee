"""Trains SASRec on the histories of a log: a library; who wants to show progress passes a callback."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from model.interactions import Interactions, Ints
from model.sasrec import SASRec, SASRecConfig

FULL_SOFTMAX_ITEMS = 20_000  # above, a sampled softmax: a batch of full logits would take gigabytes
NEGATIVES = 4_096


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """How to train.

    Attributes:
        epochs: passes over the data.
        batch_size: windows a step; 32 took less time than 64 on CPU and needs fewer epochs.
        learning_rate: peak of AdamW's; it rises for a tenth of the steps and then falls to zero.
        weight_decay: of AdamW.
        seed: of initial weights, order, windows and dropout.
        device: cpu or cuda.
    """

    epochs: int = 14
    batch_size: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
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
    training: Interactions, config: SASRecConfig, how: TrainConfig, progress: Progress = lambda _: None
) -> SASRec:
    """Trains a model on the histories in `training`.

    Args:
        training: behaviours before the cut-off, in the vocabulary of `config.items` items.
        config: size of the model.
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
    model = SASRec(config, histories.counts())
    model.to(how.device)
    _Loop(model, sequences, config.history_length, how).run(progress)
    model.eval()
    return model


class _Loop:
    """The training loop: windows in, steps out."""

    def __init__(self, model: SASRec, sequences: list[Ints], length: int, how: TrainConfig) -> None:
        self._model = model
        self._sequences = sequences
        self._length = length
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
        loss = next_item_loss(self._model, windows)
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


def next_item_loss(model: SASRec, windows: Tensor) -> Tensor:
    """Cross entropy of the next item at every real position. windows: (B, L + 1) -> scalar."""
    inputs, targets = windows[:, :-1], windows[:, 1:]
    real = inputs > 0
    hidden = model.hidden(inputs)[real]  # (P, D)
    wanted = targets[real]  # (P,)
    if model.item.num_embeddings <= FULL_SOFTMAX_ITEMS:
        logits = F.linear(hidden, model.item.weight[1:], model.bias[1:])  # (P, n)
        return F.cross_entropy(logits, wanted - 1)
    return _sampled_loss(model, hidden, wanted)


def _sampled_loss(model: SASRec, hidden: Tensor, wanted: Tensor) -> Tensor:
    """Cross entropy against the target and uniformly drawn negatives shared by the batch.

    The negatives stand for all n items, so their logits are raised by log(n / drawn) (Jean et al. 2015).
    """
    items = model.item.num_embeddings - 1
    drawn = torch.randint(1, items + 1, (NEGATIVES,), device=hidden.device)  # (S,)
    negative = F.linear(hidden, model.item(drawn), model.bias[drawn])  # (P, S)
    negative = negative + float(np.log(items / NEGATIVES))
    negative = negative.masked_fill(drawn.unsqueeze(0) == wanted.unsqueeze(1), float("-inf"))
    positive = (hidden * model.item(wanted)).sum(1) + model.bias[wanted]  # (P,)
    return (torch.logsumexp(torch.cat([positive.unsqueeze(1), negative], 1), 1) - positive).mean()
