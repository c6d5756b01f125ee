"""The recipe of SASRec; the model is in `model.networks.sasrec`, its training in `model.training.train`."""

from dataclasses import dataclass
from typing import Literal

from model.networks.sasrec import SASRecConfig
from model.networks.sasrec_steps import SteppingSASRecConfig
from model.recommenders.kinds import Learned, Progress, Size, TrainingSet
from model.recommenders.next_item import learned
from model.training.train import TrainConfig

HOW = TrainConfig()


@dataclass(frozen=True, slots=True)
class Options:
    """What it is made of.

    Attributes:
        dropout: share of activations dropped in training.
        steps: 1 exports steps too, from kept keys and values (`model.networks.sasrec_steps`).
    """

    dropout: float = 0.3
    steps: int = 0


DEFAULTS = Options()


def fit(data: TrainingSet, size: Size, how: TrainConfig, progress: Progress, options: Options = DEFAULTS) -> Learned:
    """Trains SASRec; ValueError if no user has two items."""
    return learned(transformer(data, size, options, "transformer"), data, how, progress)


def transformer(
    data: TrainingSet, size: Size, options: Options, block: Literal["transformer", "hstu"]
) -> SASRecConfig | SteppingSASRecConfig:
    """The model to train, of these blocks."""
    made = SteppingSASRecConfig if options.steps else SASRecConfig
    return made(
        items=data.log.items,
        history_length=size.history_length,
        dim=size.dim,
        layers=size.layers,
        block=block,
        k=size.k,
        dropout=options.dropout,
    )
