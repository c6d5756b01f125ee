"""Training of one recommender of any kind on the part of a log that lies before the cut-off."""

from collections.abc import Mapping

import torch

from model.datasets.interactions import (
    Interactions,
    training_vocabulary,
)
from model.datasets.reading import Item
from model.errors import RecloopError, TrainingError
from model.recommenders.kinds import Kind, Learned, Progress, Size, TrainingSet
from model.records import ItemId
from model.training.train import TrainConfig
from model.training.train_config import TooLittleDataError


class MissingLibraryError(RecloopError, ValueError):
    """A package that is not installed, but needed to train a kind of recommender."""


def learn(kind: Kind, data: TrainingSet, size: Size, how: TrainConfig | None, progress: Progress) -> Learned:
    """Train one recommender of a kind with `how`, or with the kind's default training if None.

    Raises:
        MissingLibraryError: it is trained by a package that is not installed.
        TooLittleDataError: the vocabulary is empty.
        ValueError: it cannot be trained on this data, in this size or with `how`.
    """
    if not data.log.items:
        msg = "no user has two history behaviours before the cut-off; take more data or a later cut-off"
        raise TooLittleDataError(msg)
    try:
        return kind.learn(data, size, how, progress)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        msg = f"training {kind.summary} needs the package {package}; install it with: pip install {package}"
        raise MissingLibraryError(msg) from error
    except (MemoryError, RuntimeError) as error:
        if (caused := _of_torch(error, kind)) is None:
            raise
        raise caused from error


def vocabulary_of(kind: Kind, training: Interactions, catalogue: Mapping[ItemId, Item]) -> tuple[ItemId, ...]:
    """Return the items that a recommender of a kind knows after `training`, sorted by id."""
    learned = training_vocabulary(training)
    return tuple(sorted({*learned, *catalogue})) if kind.whole_catalogue else learned


def training_set(training: Interactions, catalogue: Mapping[ItemId, Item]) -> TrainingSet:
    """Join the behaviours with the titles of their vocabulary."""
    return TrainingSet(training, tuple(catalogue[i].title if i in catalogue else i for i in training.vocabulary))


def _of_torch(error: MemoryError | RuntimeError, kind: Kind) -> TrainingError | None:
    """Return the error that a recommender's size or options have caused; None for a fault of the program."""
    if isinstance(error, torch.linalg.LinAlgError):
        return TrainingError(f"training {kind.summary} has no solution with these options; take a larger l2")
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or "not enough memory" in str(error):
        return TrainingError(
            f"training {kind.summary} takes more memory than there is; take fewer items or a smaller --dim"
        )
    return None
