"""What the recipes of the models that predict the next item of a history share."""

from functools import partial

from model.networks.sequence import SequenceConfig
from model.recommenders.kinds import Learned, Progress, TrainingSet
from model.recommenders.neighbors import nearest_neighbors
from model.training.train import TrainConfig, train


def learned(config: SequenceConfig, data: TrainingSet, how: TrainConfig, progress: Progress) -> Learned:
    """Trains that model; its embeddings tell which items are neighbours. ValueError if no user has two items."""
    model = train(data.log, config, how, progress).to("cpu")
    return Learned(model, partial(nearest_neighbors, model.item.weight))
