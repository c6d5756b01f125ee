"""The recipe of SASRec; the model is in `model.sasrec`, its training in `model.train`."""

from dataclasses import dataclass

from model.kinds import Learned, Progress, Size, TrainingSet
from model.recommenders.next_item import learned
from model.sasrec import SASRecConfig
from model.train import TrainConfig

HOW = TrainConfig()


@dataclass(frozen=True, slots=True)
class Options:
    """What it is made of.

    Attributes:
        dropout: share of activations dropped in training.
    """

    dropout: float = 0.3


DEFAULTS = Options()


def fit(data: TrainingSet, size: Size, how: TrainConfig, progress: Progress, options: Options = DEFAULTS) -> Learned:
    """Trains SASRec; ValueError if no user has two items."""
    config = SASRecConfig(
        items=data.log.items,
        history_length=size.history_length,
        dim=size.dim,
        layers=size.layers,
        k=size.k,
        dropout=options.dropout,
    )
    return learned(config, data, how, progress)
