"""Training of one recommender of any kind on the part of a log that lies before the cut-off."""

from collections.abc import Mapping

import torch

from model.datasets.interactions import (
    Interactions,
    training_vocabulary,
)
from model.datasets.reading import Item
from model.errors import RecloopError, TrainingError
from model.recommenders.kinds import Learned, Progress, RecommenderSpec, Size, TrainingSet
from model.records import ItemId
from model.training.train import TrainConfig
from model.training.train_config import TooLittleDataError


class MissingLibraryError(RecloopError, ValueError):
    """A package that is not installed, but needed to train a kind of recommender."""


def learn(
    spec: RecommenderSpec, data: TrainingSet, size: Size, settings: TrainConfig | None, progress: Progress
) -> Learned:
    """Train one recommender of a kind with `settings`, or with the kind's default training if None.

    Raises:
        MissingLibraryError: it is trained by a package that is not installed.
        TooLittleDataError: the vocabulary is empty.
        ValueError: it cannot be trained on this data, in this size or with `settings`.
    """
    if not data.log.items:
        msg = "no user has two history behaviours before the cut-off; take more data or a later cut-off"
        raise TooLittleDataError(msg)
    try:
        return spec.learn(data, size, settings, progress)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        msg = f"training {spec.summary} needs the package {package}; install it with: pip install {package}"
        raise MissingLibraryError(msg) from error
    except torch.linalg.LinAlgError as error:
        msg = f"training {spec.summary} has no solution with these options; take a larger l2"
        raise TrainingError(msg) from error
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError | torch.OutOfMemoryError) and "not enough memory" not in str(error):
            raise  # a fault of the program
        msg = f"training {spec.summary} takes more memory than there is; take fewer items or a smaller --dim"
        raise TrainingError(msg) from error


def vocabulary_of(
    spec: RecommenderSpec, training: Interactions, catalogue: Mapping[ItemId, Item]
) -> tuple[ItemId, ...]:
    """Return the items that a recommender of a kind knows after `training`, sorted by id."""
    learned = training_vocabulary(training)
    return tuple(sorted({*learned, *catalogue})) if spec.whole_catalogue else learned


def training_set(training: Interactions, catalogue: Mapping[ItemId, Item]) -> TrainingSet:
    """Join the behaviours with the titles of their vocabulary."""
    return TrainingSet(training, tuple(catalogue[i].title if i in catalogue else i for i in training.vocabulary))
