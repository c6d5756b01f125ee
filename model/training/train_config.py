"""Settings of a training and its progress reports; apart from `model.training.train`, which needs torch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from model.errors import TrainingError
from model.records import ItemId

CHECKPOINT = "training.checkpoint"
"""Name of the file in a folder of checkpoints."""


class TooLittleDataError(TrainingError):
    """Too little data before the cut-off for a recommender to learn from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoints:
    """The checkpoints of a training, from which it can go on after any kind of end.

    `model.fit` removes the checkpoint when there is a bundle.

    Attributes:
        folder: holds the newest checkpoint; made if it is not there. Where a training is spread over machines, all of
            them see it.
        every_minutes: time between two checkpoints inside an epoch; one is always written after an epoch.
        resume: goes on from the checkpoint in the folder; where there is none, the training begins.
    """

    folder: Path
    every_minutes: float = 10.0
    resume: bool = False


@dataclass(frozen=True, slots=True)
class Start:
    """The weights of an earlier model, from which a training starts in place of drawn ones.

    Attributes:
        name: equal names, equal weights; as the hash of the bundle they are from.
        vocabulary: item ids; `vocabulary[i]` has row i + 1 where weights have a row for each item.
        weights: name -> tensor, the state of a `SequenceRecommender`.
    """

    name: str
    vocabulary: tuple[ItemId, ...]
    weights: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """The settings of a training.

    Attributes:
        epochs: passes over the data.
        batch_size: windows per step, over all processes; 32 took less time than 64 on CPU and needs fewer epochs.
        learning_rate: AdamW's peak learning rate; it rises for a tenth of the steps and then falls to zero.
        weight_decay: of AdamW (Loshchilov and Hutter 2019).
        negatives: items drawn per step to compare the next one with; 0 compares with all (full softmax), None
            does so up to 20,000 items and draws 4,096 above.
        seed: of initial weights, order, windows and dropout.
        device: cpu or cuda.
        processes: number of processes that share each step's windows. `train` spawns them, so a script that calls it
            does so under `if __name__ == "__main__"`.
        precision: "mixed" has a GPU multiply in 16 bits where that costs no accuracy.
        checkpoints: their folder and timing; None keeps none.
        start: weights to start from; None draws them.
    """

    epochs: int = 14
    batch_size: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    negatives: int | None = None
    seed: int = 0
    device: str = "cpu"
    processes: int = 1
    precision: Literal["full", "mixed"] = "full"
    checkpoints: Checkpoints | None = None
    start: Start | None = None

    def __post_init__(self) -> None:
        if self.processes < 1:
            msg = f"processes are 1 or more, not {self.processes}"
            raise TrainingError(msg)
        if self.precision not in {"full", "mixed"}:
            msg = f"precision is full or mixed, not {self.precision}"
            raise TrainingError(msg)
        if self.precision == "mixed" and not self.device.startswith("cuda"):
            msg = f"mixed precision needs a GPU: give device cuda, not {self.device}, or leave it out"
            raise TrainingError(msg)


@dataclass(frozen=True, slots=True)
class EpochDone:
    """A report to the callback after an epoch.

    Attributes:
        epoch: its number, from 1.
        epochs: number of all epochs.
        loss: mean cross entropy of the next item, nats.
    """

    epoch: int
    epochs: int
    loss: float


OnEpoch = Callable[[EpochDone], None]
