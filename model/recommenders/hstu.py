"""The recipe of a SASRec of HSTU blocks; they are in `model.networks.hstu`."""

from model.recommenders.kinds import Learned, Progress, Size, TrainingSet
from model.recommenders.next_item import learned
from model.recommenders.sasrec import DEFAULTS, Options, transformer
from model.training.train import TrainConfig

HOW = TrainConfig(epochs=28, learning_rate=4e-3)


def fit(data: TrainingSet, size: Size, how: TrainConfig, progress: Progress, options: Options = DEFAULTS) -> Learned:
    """Trains a SASRec of HSTU blocks; ValueError if no user has two items."""
    return learned(transformer(data, size, options, "hstu"), data, how, progress)
