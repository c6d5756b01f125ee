"""The recipe of SASRec; the model is in `model.sasrec`, its training in `model.train`."""

from model.kinds import Learned, Progress, Size, TrainingSet
from model.recommenders.next_item import learned
from model.sasrec import SASRecConfig
from model.train import TrainConfig

HOW = TrainConfig()


def fit(data: TrainingSet, size: Size, how: TrainConfig, progress: Progress) -> Learned:
    """Trains SASRec; ValueError if no user has two items."""
    config = SASRecConfig(
        items=data.log.items, history_length=size.history_length, dim=size.dim, layers=size.layers, k=size.k
    )
    return learned(config, data, how, progress)
