"""Every kind of recommender by its name: the one table behind `recloop train` and `recloop evaluate`.

To add a kind, write a file in `model/recommenders` and a line in `KINDS`. The file is a `Recipe`, or has one as a
value:

- `SETTINGS`, a `TrainConfig`: the default training of the kind.
- `DEFAULTS`, a dataclass of numbers: the options that only this kind has.
- `fit(data, size, settings, progress, options) -> Learned`: trains on nothing but `data`. `settings.seed` decides
  everything random, so one thread count, seed and machine give one result. `progress` gets a stage's name or, after an
  epoch, an `EpochDone`.

`Learned` is the recommender, on the CPU and in evaluation mode, with a function that makes its table of neighbouring
items. This module imports no torch: names and summaries are available at once, a recipe is imported on use.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np
import numpy.typing as npt

from model.datasets.interactions import Interactions
from model.errors import RecloopError, TrainingError
from model.recommenders.options import (
    BOUNDS,
    Bounds,
    OptionError,
    Options,
    fields_of,
    laid_over,
    parse_options,
    refuse_outside,
    refuse_unknown,
)
from model.training.torchrun import member

if TYPE_CHECKING:
    from model.networks.recommender import Recommender
    from model.training.train import EpochDone, TrainConfig

DEFAULT_KIND = "sasrec"

_SIZES = frozenset({"history_length", "k"})
"""The fields of `Size` that every kind uses."""
_WIDE = frozenset({"dim"})
_DEEP = frozenset({"dim", "layers"})
_TRAINED = frozenset({"epochs", "batch_size", "learning_rate", "weight_decay", "negatives"})
"""The fields of `TrainConfig`, except for its seed and those that decide where and how it runs."""

NeighborTable = npt.NDArray[np.int32]
"""(n + 1, M), nearest first, never the item itself, 0 pads."""
Progress = Callable[["EpochDone | str"], None]
"""A callback that gets each stage's name and each finished epoch."""


class UnknownKindError(RecloopError, ValueError):
    """A name that no recommender has; the message lists those that exist."""


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """The data that a recommender learns from.

    Attributes:
        log: behaviours before the cut-off; its vocabulary is the model's.
        titles: parallel to the vocabulary; an item's id where it has no title.
    """

    log: Interactions
    titles: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """The size of a recommender; each kind uses the fields that apply to it.

    Attributes:
        history_length: L, number of newest items that are read; 0 takes the kind's own.
        dim: D, width of an item's embedding.
        layers: number of stacked layers, or of steps over a graph.
        k: number of items returned.
    """

    history_length: int = 50
    dim: int = 64
    layers: int = 2
    k: int = 100


@dataclass(frozen=True, slots=True)
class Learned:
    """A trained recommender.

    Attributes:
        recommender: on the CPU, in evaluation mode.
        neighbors: makes the neighbour table with M columns; called once, when a bundle is written.
    """

    recommender: Recommender
    neighbors: Callable[[int], NeighborTable]


class Recipe(Protocol):
    """The recipe of a kind: the content of its file in `model/recommenders`, or a value in it."""

    SETTINGS: TrainConfig
    DEFAULTS: Any

    def fit(
        self, data: TrainingSet, size: Size, settings: TrainConfig, progress: Progress, options: Any = ...
    ) -> Learned:
        """Train a recommender; raise ValueError if the data or the size does not allow it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RecommenderSpec:
    """The specification of a kind of recommender, a row of the table.

    Attributes:
        file: its module in `model/recommenders`.
        summary: its description, for --help.
        value: the name of the recipe in the module; empty if the module is the recipe.
        seeded: true if another seed gives another model.
        whole_catalogue: true if it also knows items that no history holds, by their text.
        trained_on_windows: true if its training, or most of it, is that of `model.training.train`: several processes
            can share it, it can use mixed precision and a device, and it can be resumed.
        history_length: the default L. Kinds that step read all of a kept history, which grows to 99.
        takes: fields of `Size`, beside L and k, and of `TrainConfig` that it uses.
        bounds: bounds of options that differ from the common ones of that name.
        options: numbers that override its sizes, its training and its own options.
    """

    file: str
    summary: str
    value: str = ""
    seeded: bool = False
    whole_catalogue: bool = False
    trained_on_windows: bool = False
    history_length: int = 50
    takes: frozenset[str] = frozenset()
    bounds: Mapping[str, Bounds] = field(default_factory=dict)
    options: Options = field(default_factory=dict)

    def __post_init__(self) -> None:
        refuse_outside(self.options, {**BOUNDS, **self.bounds})

    def recipe(self) -> Recipe:
        """Import its module and return the recipe; this may import torch, which takes seconds."""
        module = import_module(f"{__package__}.{self.file}")
        return cast("Recipe", getattr(module, self.value) if self.value else module)

    def sized(self, size: Size) -> Size:
        """Return a size overridden by the kind's options, with the kind's history length if it has none then."""
        asked = laid_over(size, self.options)
        return asked if asked.history_length else replace(asked, history_length=self.history_length)

    def settings(self) -> TrainConfig:
        """Return its default training, overridden by its options; this imports its module."""
        return laid_over(self.recipe().SETTINGS, self.options)

    def learn(self, data: TrainingSet, size: Size, settings: TrainConfig | None, progress: Progress) -> Learned:
        """Train a recommender with `settings`, or with its default training if None, overridden by its options.

        Raises:
            OptionError: there is no such option.
            ValueError: it cannot be trained on this data, in this size or with `settings`.
        """
        self.refuse_unknown_options()
        recipe = self.recipe()
        trained = self.settings() if settings is None else laid_over(settings, self.options)
        self._refuse_options_of_windows(trained)
        return recipe.fit(data, self.sized(size), trained, progress, laid_over(recipe.DEFAULTS, self.options))

    def refuse_unknown_options(self) -> None:
        """Raise OptionError if it does not have one of its options, or not as such a number; imports its module."""
        if not self.options:
            return
        recipe = self.recipe()
        general = fields_of(self.sized(Size(history_length=0)), recipe.SETTINGS)
        takes = {name: general[name] for name in sorted(self.takes | _SIZES)}
        refuse_unknown(self.options, fields_of(recipe.DEFAULTS) | takes)
        for part in (Size(), recipe.SETTINGS, recipe.DEFAULTS):
            laid_over(part, self.options)

    def refuse_unused(self, asked: Mapping[str, object]) -> None:
        """Raise OptionError for a field in `asked`, name -> value, that it does not use; None is not asked for."""
        if unused := [name for name, value in asked.items() if value is not None and name not in self.takes]:
            able = ", ".join(name for name, spec in KINDS.items() if unused[0] in spec.takes)
            msg = f"--{unused[0]} is for {able} only: leave it out"
            raise OptionError(msg)

    def _refuse_options_of_windows(self, settings: TrainConfig) -> None:
        if self.trained_on_windows:
            return
        asked = {
            "processes above 1": settings.processes > 1 or member() is not None,
            "precision mixed": settings.precision == "mixed",
            "a device": settings.device != "cpu",
            "resume": settings.checkpoints is not None and settings.checkpoints.resume,
        }
        if refused := [name for name, is_asked in asked.items() if is_asked]:
            able = ", ".join(name for name, spec in KINDS.items() if spec.trained_on_windows)
            msg = f"{refused[0]} is for {able} only: all others are trained by one process, on the CPU, in one go"
            raise TrainingError(msg)


KINDS: Mapping[str, RecommenderSpec] = MappingProxyType(
    {
        "sasrec": RecommenderSpec(
            file="next_item",
            value="SASREC",
            summary="a causal transformer over the history",
            seeded=True,
            trained_on_windows=True,
            takes=_DEEP | _TRAINED,
        ),
        "hstu": RecommenderSpec(
            file="next_item",
            value="HSTU",
            summary="the same of pointwise attention blocks",
            seeded=True,
            trained_on_windows=True,
            takes=_DEEP | _TRAINED,
        ),
        "gru": RecommenderSpec(
            file="next_item",
            value="GRU",
            summary="a recurrent network, which also goes on from a kept state",
            seeded=True,
            trained_on_windows=True,
            history_length=99,
            takes=_WIDE | _TRAINED,
        ),
        "linear-recurrence": RecommenderSpec(
            file="next_item",
            value="LINEAR_RECURRENCE",
            summary="layers of gated linear recurrences, which also go on from a kept state",
            seeded=True,
            trained_on_windows=True,
            history_length=99,
            takes=_DEEP | _TRAINED,
        ),
        "popularity": RecommenderSpec(file="popularity", summary="what most users interacted with lately"),
        "item-cf": RecommenderSpec(file="item_cf", summary="neighbours of the newest items, by the users of both"),
        "user-cf": RecommenderSpec(file="user_cf", summary="the items of users with a similar history"),
        "als": RecommenderSpec(
            file="als",
            summary="matrix factorisation by weighted least squares",
            seeded=True,
            takes=_WIDE | {"epochs"},
        ),
        "bpr": RecommenderSpec(
            file="bpr",
            summary="matrix factorisation by pairwise ranking",
            seeded=True,
            takes=_WIDE | {"epochs", "learning_rate"},
        ),
        "hybrid": RecommenderSpec(
            file="hybrid",
            summary="the sum of gru, slit and als: order and taste",
            seeded=True,
            trained_on_windows=True,
            history_length=99,
            takes=_WIDE | _TRAINED,
        ),
        "ease": RecommenderSpec(file="ease", summary="a linear model of items in closed form"),
        "slit": RecommenderSpec(
            file="slit", summary="a linear model of what comes next, in closed form", history_length=99
        ),
        "lightgcn": RecommenderSpec(
            file="lightgcn",
            summary="embeddings smoothed over the graph of users and items",
            seeded=True,
            takes=_DEEP | _TRAINED,
            bounds={"layers": Bounds(0, BOUNDS["layers"].most)},
        ),
        "text": RecommenderSpec(file="text", summary="items with titles of a similar meaning", whole_catalogue=True),
    }
)


def kind_named(written: str) -> RecommenderSpec:
    """Return the kind of a name, with the options written after it: `NAME` or `NAME:OPTION=NUMBER:...`.

    Raises:
        UnknownKindError: there is no kind of that name.
        OptionError: an option is no number, there twice or outside its bounds.
    """
    name, *options = written.split(":")
    if (spec := KINDS.get(name)) is None:
        msg = f"there is no recommender {name!r}; use one of {', '.join(KINDS)}"
        raise UnknownKindError(msg)
    return replace(spec, options=parse_options(options))
