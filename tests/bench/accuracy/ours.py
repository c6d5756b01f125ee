"""Our side: trains a kind as a cell says, by the same recipes as `recloop train`."""

import time
from collections.abc import Mapping
from dataclasses import replace

import torch

from model.datasets.interactions import Ints, index_of
from model.datasets.reading import Item
from model.evaluation.evaluate import rank, targets_at
from model.evaluation.splits import Split
from model.recommenders.kinds import RecommenderSpec, Size, kind_named
from model.recommenders.learn import training_set, vocabulary_of
from model.recommenders.options import laid_over
from model.records import ItemId
from tests.bench.accuracy.cells import Cell, Outcome
from tests.bench.accuracy.task import Options

ANY_SIZE = Size(history_length=0)


def version_of(name: str, choice: Options) -> str:
    """All that decides how a kind is trained, but the seed."""
    kind = _chosen(name, choice)
    recipe = kind.recipe()
    return repr((kind.sized(ANY_SIZE), kind.settings(), laid_over(recipe.DEFAULTS, kind.options)))


def lists_of(cell: Cell, split: Split, catalogue: Mapping[ItemId, Item], top: int) -> Outcome:
    """Trains and asks; the lists are in the split's own vocabulary."""
    torch.set_num_threads(1)
    began = time.process_time()
    kind = _chosen(cell.name, cell.options)
    vocabulary = vocabulary_of(kind, split.log.where(split.training), catalogue)
    log = split.log.with_vocabulary(vocabulary)
    data = training_set(log.where(split.training), catalogue)
    learned = kind.learn(data, ANY_SIZE, replace(kind.recipe().SETTINGS, seed=cell.seed), lambda _: None)
    ranking = rank(learned.recommender, targets_at(log, split.rows, kind.sized(ANY_SIZE).history_length))
    return Outcome({0: _translated(ranking.items[:, :top], vocabulary, split)}, time.process_time() - began)


def _chosen(name: str, choice: Options) -> RecommenderSpec:
    numbers = {option: value for option, value in choice.items() if isinstance(value, int | float)}
    return replace(kind_named(name), options=numbers)


def _translated(items: Ints, vocabulary: tuple[ItemId, ...], split: Split) -> Ints:
    index = index_of(split.log.vocabulary)
    table = torch.tensor([0, *(index.get(item_id, 0) for item_id in vocabulary)])
    translated: Ints = table.numpy()[items]
    return translated
