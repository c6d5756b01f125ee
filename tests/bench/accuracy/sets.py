"""The data sets of the comparison, prepared as `recloop data prepare` does, and split by leave-one-out."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from model.datasets.action_map import parse_action_map
from model.datasets.download import fetch_ml_100k
from model.datasets.interactions import load_interactions
from model.datasets.prepare import Request, prepare
from model.datasets.prepared import Dataset
from model.datasets.reading import Item
from model.datasets.sources import SOURCES
from model.evaluation.evaluate import Targets, targets_at
from model.evaluation.splits import Split, leave_one_out
from model.records import ItemId


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a data set comes from.

    Attributes:
        title: in the table.
        source: as `recloop data prepare` names it.
        actions: how its words become actions; every rating is an interaction.
        path: below the folder of shared data; empty where it is fetched.
    """

    title: str
    source: str
    actions: str
    path: str = ""


ORIGINS: Mapping[str, Origin] = {
    "ml-100k": Origin("MovieLens-100K", "ml-100k", "all=click"),
    "ml-small": Origin("MovieLens-latest-small", "movielens", "all=click", "movielens-latest-small"),
    "online-retail": Origin("Online Retail", "online-retail", "", "online-retail"),
}


class Problem:
    """One data set's validation and test."""

    def __init__(self, name: str, dataset: Dataset) -> None:
        self.name = name
        self.title = ORIGINS[name].title
        self.fingerprint = dataset.info.fingerprint
        self._dataset = dataset

    @cached_property
    def catalogue(self) -> Mapping[ItemId, Item]:
        """Titles."""
        return self._dataset.items()

    @cached_property
    def splits(self) -> Mapping[str, Split]:
        """By part."""
        log = load_interactions(self._dataset)
        return {part: leave_one_out(log, validation=part == "validation") for part in ("validation", "test")}

    @cached_property
    def targets(self) -> Mapping[str, Targets]:
        """By part, in the log's own vocabulary."""
        return {part: targets_at(split.log, split.rows, 1) for part, split in self.splits.items()}


def problem(name: str, shared: Path, prepared: Path) -> Problem:
    """Prepares a data set, or finds it prepared.

    Args:
        name: a key of `ORIGINS`.
        shared: folder of the data that is not fetched.
        prepared: folder of prepared data sets.

    Raises:
        SourceError: it cannot be read.
    """
    origin = ORIGINS[name]
    path = shared / origin.path if origin.path else fetch_ml_100k(prepared / "cache")
    actions = parse_action_map(origin.actions, SOURCES[origin.source].actions)
    return Problem(name, prepare(Request(name, origin.source, path, actions), prepared / name).dataset)
