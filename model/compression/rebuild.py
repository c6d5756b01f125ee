"""The eager model of a bundle, with its weights, for compression to work on.

A bundle holds TorchScript only. The shapes of its tensors give the size of the model, so the bundle is all that is
needed, and a pruned model is rebuilt like a trained one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from model.bundles.bundle import Bundle, load_module
from model.compression.methods import CompressionError, refuse_kind
from model.networks.gru import GRUConfig
from model.networks.linear_recurrence import LinearRecurrenceConfig
from model.networks.recommender import Recommender
from model.networks.sasrec import SASRecConfig
from model.networks.sasrec_steps import SteppingSASRecConfig
from model.networks.sequence import SequenceConfig, SequenceRecommender
from model.recommenders.hybrid import Hybrid

TOLERANCE = 1e-3
"""The largest difference between scores of the rebuilt model and the bundle's: machines add in different orders."""
_Weights = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class Sized:
    """A model with its size, in evaluation mode on the CPU."""

    config: SequenceConfig
    model: SequenceRecommender


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """The eager model of a bundle.

    Attributes:
        layers: the part that can be compressed: the whole model, or the GRU of a hybrid.
        whole: puts a compressed part back into its place and returns the whole model.
    """

    layers: Sized
    whole: Callable[[Recommender], Recommender]


def kind_of(bundle: Bundle) -> str:
    """Return the name of the bundle's kind, without the options that may follow it."""
    return bundle.manifest.recommender.partition(":")[0]


def rebuilt(bundle: Bundle) -> Rebuilt:
    """Rebuild the eager model of a bundle.

    Raises:
        CompressionError: its kind cannot be compressed, it has weights that are not float32, or this program's model
            of that kind computes something else than the bundle's.
    """
    kind = kind_of(bundle)
    refuse_kind(kind)
    script = load_module(bundle, "cpu")
    if kind != "hybrid":
        return Rebuilt(_layers(bundle, kind, script), lambda model: model)
    members = dict(zip(script.members.children(), script.shares.tolist(), strict=True))
    (member,) = (one for one in members if hasattr(one, "initial_state"))  # the others have no state
    return Rebuilt(_layers(bundle, "gru", member), partial(_hybrid, bundle, members, member))


def _hybrid(bundle: Bundle, members: Mapping[Any, float], member: Any, model: Recommender) -> Recommender:
    """Return the hybrid with one member replaced by a model; the others stay as they are."""
    now = {model if one is member else one: share for one, share in members.items()}
    whole = Hybrid(bundle.manifest.items, bundle.manifest.k, now)
    whole.eval()
    return whole


def _layers(bundle: Bundle, kind: str, script: Any) -> Sized:
    if hasattr(getattr(script, "item", None), "centre"):
        msg = f"{bundle.path} has its items in cells, so nothing can be made of it{_made_from(bundle)}"
        raise CompressionError(msg)
    weights = {name: weight for name, weight in script.state_dict().items() if name != "start"}  # start is no weight
    if any(weight.dtype != torch.float32 for weight in weights.values()):
        msg = f"{bundle.path} holds no float32 weights, so nothing can be made of it{_made_from(bundle)}"
        raise CompressionError(msg)
    config = _Read(bundle, script, weights).config(kind)
    model = config.build(np.zeros(config.items + 1, dtype=np.int64)).eval()
    same_shapes = {n: w.shape for n, w in weights.items()} == {n: w.shape for n, w in model.state_dict().items()}
    if same_shapes:
        model.load_state_dict(weights)
    if not same_shapes or not _score_alike(model, script, config):
        msg = (
            f"this program's {kind_of(bundle)} is not the one that {bundle.path} was made with, so it cannot be "
            "rebuilt; train the model again with: recloop train"
        )
        raise CompressionError(msg)
    return Sized(config, model)


def _made_from(bundle: Bundle) -> str:
    compression = bundle.manifest.compression
    return f"; compress {compression.name} {compression.version} instead" if compression else ""


@dataclass(frozen=True, slots=True)
class _Read:
    """A bundle's module, from which its size is read."""

    bundle: Bundle
    script: Any
    weights: _Weights

    def shape(self, name: str, axis: int = 0) -> int:
        """Return the size of a tensor along an axis."""
        return int(self.weights[name].size(axis))

    def layers(self, prefix: str) -> int:
        """Count the layers that are numbered behind a prefix."""
        return len({name.split(".")[1] for name in self.weights if name.startswith(f"{prefix}.")})

    def config(self, kind: str) -> SequenceConfig:
        """Return the size of the model, which is of a kind that can be compressed, and no hybrid."""
        manifest = self.bundle.manifest
        common: dict[str, Any] = {
            "items": manifest.items,
            "history_length": manifest.history_length,
            "dim": self.shape("item.weight", 1),
            "k": manifest.k,
        }
        if kind == "gru":
            return GRUConfig(**common, state=self.shape("project.weight", 1))
        if kind == "linear-recurrence":
            return LinearRecurrenceConfig(
                **common,
                state=self.shape("layers.0.decay"),
                layers=self.layers("layers"),
                feed=self.shape("layers.0.feed.0.weight"),
            )
        config_type = SteppingSASRecConfig if hasattr(self.script, "step") else SASRecConfig
        common["layers"] = self.layers("blocks")
        if kind == "hstu":
            heads, width = self.shape("blocks.0.distance"), self.shape("blocks.0.project_out.weight", 1)
            return config_type(**common, block="hstu", heads=heads, head_dim=width // heads)
        if kind == "sasrec":
            heads = int(getattr(self.script.blocks, "0").attention.heads)
            width = self.shape("blocks.0.attention.project_out.weight", 1)
            feed = self.shape("blocks.0.feed.0.weight")
            return config_type(**common, heads=heads, head_dim=width // heads, feed=feed)
        msg = f"nothing is known of the weights of {kind}"
        raise NotImplementedError(msg)


def _score_alike(model: SequenceRecommender, script: Any, config: SequenceConfig) -> bool:
    """Return true if both models score some drawn histories alike."""
    random = torch.Generator().manual_seed(0)
    history, _ = torch.randint(0, config.items + 1, (8, config.history_length), generator=random).sort(1)
    ones = torch.ones(history.shape)
    with torch.inference_mode():
        mine, its = (m.scores(history, ones, ones) for m in (model, script))
    return bool(torch.allclose(mine, its, rtol=0, atol=TOLERANCE))
