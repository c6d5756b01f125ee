"""The recipes of the models that predict the next item of a history: the network of each, and its own training options.

The networks are in `model.networks`, their training is `model.training.train`, and the neighbours of an item are the
nearest ones by embedding.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from model.networks.gru import GRUConfig
from model.networks.linear_recurrence import LinearRecurrenceConfig
from model.networks.sasrec import SASRecConfig
from model.networks.sasrec_steps import SteppingSASRecConfig
from model.networks.sequence import SequenceConfig
from model.recommenders.kinds import Learned, Progress, Size, TrainingSet
from model.recommenders.neighbors import nearest_neighbors
from model.training.train import TrainConfig, train

_Common = dict[str, Any]
"""The fields of `SequenceConfig`, which every configuration has."""


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a network.

    Attributes:
        dropout: share of activations dropped in training.
    """

    dropout: float


@dataclass(frozen=True, slots=True)
class TransformerOptions(Options):
    """The options of a transformer.

    Attributes:
        steps: 1 also exports steps, from kept keys and values (`model.networks.sasrec_steps`).
    """

    steps: int = 0


@dataclass(frozen=True, slots=True)
class NextItemRecipe:
    """A recipe as defined in `model.recommenders.kinds`.

    Attributes:
        SETTINGS: its default training.
        DEFAULTS: its options.
        configure: returns the configuration of the network from the common fields, the size and the options.
    """

    SETTINGS: TrainConfig
    DEFAULTS: Options
    configure: Callable[[_Common, Size, Any], SequenceConfig]

    def fit(
        self, data: TrainingSet, size: Size, settings: TrainConfig, progress: Progress, options: Options | None = None
    ) -> Learned:
        """Train one network; raise ValueError if no user has two items."""
        options = options or self.DEFAULTS
        common = {
            "items": data.log.items,
            "history_length": size.history_length,
            "dim": size.dim,
            "dropout": options.dropout,
            "k": size.k,
        }
        model = train(data.log, self.configure(common, size, options), settings, progress).to("cpu")
        return Learned(model, partial(nearest_neighbors, model.item.weight))


def _transformer(
    block: Literal["transformer", "hstu"], common: _Common, size: Size, options: TransformerOptions
) -> SequenceConfig:
    made = SteppingSASRecConfig if options.steps else SASRecConfig
    return made(**common, layers=size.layers, block=block)


_RECURRENT_SETTINGS = TrainConfig(epochs=30, learning_rate=3e-3)
_RECURRENT_DEFAULTS = Options(dropout=0.4)

SASREC = NextItemRecipe(
    SETTINGS=TrainConfig(), DEFAULTS=TransformerOptions(dropout=0.3), configure=partial(_transformer, "transformer")
)
HSTU = NextItemRecipe(
    SETTINGS=TrainConfig(epochs=28, learning_rate=4e-3),
    DEFAULTS=SASREC.DEFAULTS,
    configure=partial(_transformer, "hstu"),
)
GRU = NextItemRecipe(
    SETTINGS=_RECURRENT_SETTINGS,
    DEFAULTS=_RECURRENT_DEFAULTS,
    configure=lambda common, size, _: GRUConfig(**common, state=2 * size.dim),
)
LINEAR_RECURRENCE = NextItemRecipe(
    SETTINGS=_RECURRENT_SETTINGS,
    DEFAULTS=_RECURRENT_DEFAULTS,
    configure=lambda common, size, _: LinearRecurrenceConfig(**common, state=2 * size.dim, layers=size.layers),
)
