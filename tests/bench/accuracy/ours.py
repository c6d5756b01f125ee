"""Our side: trains a kind as a cell says, by the same recipes as `recloop train`."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import torch

from model.datasets.reading import Item
from model.evaluate import rank, targets_at
from model.evaluate_splits import Split
from model.fit import training_set, vocabulary_of
from model.interactions import Ints, index_of
from model.kinds import Size, kind_named
from model.records import ItemId
from model.train import TrainConfig
from tests.bench.accuracy.cells import Outcome
from tests.bench.accuracy.task import Options


@dataclass(frozen=True, slots=True)
class Settings:
    """All that decides how a kind is trained.

    Attributes:
        size: of the model.
        how: optimiser and seed.
        options: the recipe's own.
    """

    size: Size
    how: TrainConfig
    options: Any

    @property
    def version(self) -> str:
        """Tells one way of training from another."""
        return repr((self.size, replace(self.how, seed=0), self.options))


def settings_of(name: str, choice: Options, seed: int) -> Settings:
    """A kind's own way, with a choice laid over it; each name belongs to one of the three.

    Raises:
        ValueError: nothing has such a setting.
    """
    kind = kind_named(name)
    recipe: Any = kind.recipe()
    parts = (kind.sized(Size(history_length=0)), replace(recipe.HOW, seed=seed), recipe.DEFAULTS)
    known = [{field.name for field in fields(part)} for part in parts]
    if unknown := set(choice) - set().union(*known):
        msg = f"{name} has no {', '.join(sorted(unknown))}"
        raise ValueError(msg)
    laid = (
        replace(part, **{name: value for name, value in choice.items() if name in names})
        for part, names in zip(parts, known, strict=True)
    )
    return Settings(*laid)


def lists_of(name: str, settings: Settings, split: Split, catalogue: Mapping[ItemId, Item], top: int) -> Outcome:
    """Trains and asks; the lists are in the split's own vocabulary."""
    torch.set_num_threads(1)
    began = time.process_time()
    vocabulary = vocabulary_of(kind_named(name), split.log.where(split.training), catalogue)
    log = split.log.with_vocabulary(vocabulary)
    recipe: Any = kind_named(name).recipe()
    data = training_set(log.where(split.training), catalogue)
    learned = recipe.fit(data, settings.size, settings.how, lambda _: None, settings.options)
    ranking = rank(learned.recommender, targets_at(log, split.rows, settings.size.history_length))
    return Outcome({0: _translated(ranking.items[:, :top], vocabulary, split)}, time.process_time() - began)


def _translated(items: Ints, vocabulary: tuple[ItemId, ...], split: Split) -> Ints:
    index = index_of(split.log.vocabulary)
    table = torch.tensor([0, *(index.get(item_id, 0) for item_id in vocabulary)])
    translated: Ints = table.numpy()[items]
    return translated
