"""The eager model of a bundle, with its weights: what compression works on.

A bundle holds TorchScript alone. The shapes of its tensors tell how large the model is, so nothing beside the bundle
is needed, and what was pruned is rebuilt like what was trained.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from model.bundle import Bundle, load_module
from model.gru import GRUConfig
from model.linear_recurrence import LinearRecurrenceConfig
from model.sasrec import SASRecConfig
from model.sequence import SequenceConfig, SequenceRecommender
from model.ways import CompressionError, refuse_kind

TOLERANCE = 1e-3
"""Scores of the rebuilt model and the bundle's may differ by so much: the order of additions, on other machines."""
Weights = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class Sized:
    """A model and how large it is; in evaluation mode, on the CPU."""

    config: SequenceConfig
    model: SequenceRecommender


def kind_of(bundle: Bundle) -> str:
    """The kind's name, without the options that may stand behind it."""
    return bundle.manifest.recommender.partition(":")[0]


def rebuilt(bundle: Bundle) -> Sized:
    """Makes the model of a bundle anew.

    Raises:
        CompressionError: its kind cannot be compressed, it holds no float32 any more, or this program's model of that
            kind computes something else than the bundle's.
    """
    kind, compression = kind_of(bundle), bundle.manifest.compression
    refuse_kind(kind)
    script = load_module(bundle, "cpu")
    weights = {name: weight for name, weight in script.state_dict().items() if name != "start"}  # start is no weight
    if any(weight.dtype != torch.float32 for weight in weights.values()):
        made_from = f"; compress {compression.name} {compression.version} instead" if compression else ""
        msg = f"{bundle.path} holds no float32 weights, so nothing can be made of it{made_from}"
        raise CompressionError(msg)
    config = _CONFIGS[kind](_Read(bundle, script, weights))
    model = config.build(np.zeros(config.items + 1, dtype=np.int64)).eval()
    if {n: w.shape for n, w in weights.items()} != {n: w.shape for n, w in model.state_dict().items()}:
        raise _other_program(bundle)
    model.load_state_dict(weights)
    if not _equal(model, script, config):
        raise _other_program(bundle)
    return Sized(config, model)


@dataclass(frozen=True, slots=True)
class _Read:
    """A bundle's module, to read its size from."""

    bundle: Bundle
    script: Any
    weights: Weights

    def shape(self, name: str, axis: int = 0) -> int:
        """Size of a tensor along an axis."""
        return int(self.weights[name].size(axis))

    def layers(self, prefix: str) -> int:
        """How many layers are numbered behind that prefix."""
        return len({name.split(".")[1] for name in self.weights if name.startswith(f"{prefix}.")})

    @property
    def common(self) -> dict[str, int]:
        """What every configuration has."""
        manifest = self.bundle.manifest
        return {
            "items": manifest.items,
            "history_length": manifest.history_length,
            "dim": self.shape("item.weight", 1),
            "k": manifest.k,
        }


def _sasrec(read: _Read) -> SequenceConfig:
    heads = int(getattr(read.script.blocks, "0").attention.heads)
    inside = read.shape("blocks.0.attention.project_out.weight", 1)
    feed = read.shape("blocks.0.feed.0.weight")
    return _transformer(read, "transformer", heads, inside, feed)


def _hstu(read: _Read) -> SequenceConfig:
    inside = read.shape("blocks.0.project_out.weight", 1)
    return _transformer(read, "hstu", read.shape("blocks.0.distance"), inside, 0)


def _transformer(
    read: _Read, block: Literal["transformer", "hstu"], heads: int, inside: int, feed: int
) -> SequenceConfig:
    layers, width = read.layers("blocks"), inside // heads
    return SASRecConfig(**read.common, block=block, layers=layers, heads=heads, head_dim=width, feed=feed)


def _gru(read: _Read) -> SequenceConfig:
    return GRUConfig(**read.common, state=read.shape("project.weight", 1))


def _linear_recurrence(read: _Read) -> SequenceConfig:
    return LinearRecurrenceConfig(
        **read.common,
        state=read.shape("layers.0.decay"),
        layers=read.layers("layers"),
        feed=read.shape("layers.0.feed.0.weight"),
    )


_CONFIGS: Mapping[str, Callable[[_Read], SequenceConfig]] = {
    "sasrec": _sasrec,
    "hstu": _hstu,
    "gru": _gru,
    "linear-recurrence": _linear_recurrence,
}


def _equal(model: nn.Module, script: nn.Module, config: SequenceConfig) -> bool:
    """Whether both answer some drawn histories alike."""
    random = torch.Generator().manual_seed(0)
    history = torch.randint(0, config.items + 1, (8, config.history_length), generator=random)
    history, _ = history.sort(1)  # padding comes first
    ones, nothing = torch.ones(history.shape), torch.zeros((8, 0), dtype=torch.int64)
    with torch.inference_mode():
        (_, mine), (_, its) = model(history, ones, ones, nothing), script(history, ones, ones, nothing)
    return bool(torch.allclose(mine, its, rtol=0, atol=TOLERANCE))


def _other_program(bundle: Bundle) -> CompressionError:
    msg = (
        f"this program's {kind_of(bundle)} is not the one that {bundle.path} was made with, so it cannot be rebuilt; "
        "train the model again with: recloop train"
    )
    return CompressionError(msg)
