"""The recipe of SASRec; the model is in `model.sasrec`, its training in `model.train`."""

from functools import partial

from model.kinds import Learned, Progress, Size, TrainingSet
from model.neighbors import nearest_neighbors
from model.sasrec import SASRecConfig
from model.train import TrainConfig, train

HOW = TrainConfig()


def fit(data: TrainingSet, size: Size, how: TrainConfig, progress: Progress) -> Learned:
    """Trains SASRec; ValueError if no user has two items."""
    config = SASRecConfig(
        items=data.log.items, history_length=size.history_length, dim=size.dim, layers=size.layers, k=size.k
    )
    model = train(data.log, config, how, progress).to("cpu")
    return Learned(model, partial(nearest_neighbors, model.item.weight))
