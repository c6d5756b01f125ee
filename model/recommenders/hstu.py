"""The recipe of a SASRec of HSTU blocks; they are in `model.hstu`."""

from dataclasses import dataclass

from model.kinds import Learned, Progress, Size, TrainingSet
from model.recommenders.next_item import learned
from model.sasrec import SASRecConfig
from model.sasrec_steps import SteppingSASRecConfig
from model.train import TrainConfig

HOW = TrainConfig(epochs=28, learning_rate=4e-3)


@dataclass(frozen=True, slots=True)
class Options:
    """What it is made of.

    Attributes:
        dropout: share of activations dropped in training.
        steps: 1 exports steps too, from kept keys and values (`model.sasrec_steps`).
    """

    dropout: float = 0.3
    steps: int = 0


DEFAULTS = Options()


def fit(data: TrainingSet, size: Size, how: TrainConfig, progress: Progress, options: Options = DEFAULTS) -> Learned:
    """Trains a SASRec of HSTU blocks; ValueError if no user has two items."""
    made = SteppingSASRecConfig if options.steps else SASRecConfig
    config = made(
        items=data.log.items,
        history_length=size.history_length,
        dim=size.dim,
        layers=size.layers,
        block="hstu",
        dropout=options.dropout,
        k=size.k,
    )
    return learned(config, data, how, progress)
