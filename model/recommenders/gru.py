"""The recipe of the GRU; the model is in `model.networks.gru`, its training in `model.training.train`."""

from dataclasses import dataclass

from model.networks.gru import GRUConfig
from model.recommenders.kinds import Learned, Progress, Size, TrainingSet
from model.recommenders.next_item import learned
from model.training.train import TrainConfig

HOW = TrainConfig(epochs=30, learning_rate=3e-3)


@dataclass(frozen=True, slots=True)
class Options:
    """What it is made of.

    Attributes:
        dropout: share of activations dropped in training.
    """

    dropout: float = 0.4


DEFAULTS = Options()


def fit(data: TrainingSet, size: Size, how: TrainConfig, progress: Progress, options: Options = DEFAULTS) -> Learned:
    """Trains a GRU of one layer, its state twice as wide as an embedding; ValueError if no user has two items."""
    config = GRUConfig(
        items=data.log.items,
        history_length=size.history_length,
        dim=size.dim,
        state=2 * size.dim,
        k=size.k,
        dropout=options.dropout,
    )
    return learned(config, data, how, progress)
