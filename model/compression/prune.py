"""Structured pruning: whole heads, channels and state units are cut out, so that tensors really become smaller.

The importance of a unit is the change of the loss without it, by the first term of its Taylor series (Molchanov
et al. 2019). The pruned model is then trained a little more, with the original model as its teacher.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from model.compression.rebuild import Sized
from model.compression.teacher import Distillation, train_student, windows_of
from model.networks.gru import GRUConfig
from model.networks.linear_recurrence import LinearRecurrenceConfig
from model.networks.losses import negatives_for, next_item_loss
from model.networks.sasrec import SASRecConfig
from model.networks.sequence import SequenceConfig

EPOCHS, RATE = 0.3, 0.5
"""The training after a cut: these shares of a whole training's epochs and of its learning rate."""


@dataclass(frozen=True, slots=True)
class Part:
    """The place of units in a tensor: along an axis of chunks x units x width, as for q, k and v of each head.

    Attributes:
        name: name of the tensor.
        axis: axis with the units.
        chunks: number of times that the axis holds all units.
    """

    name: str
    axis: int = 0
    chunks: int = 1

    def by_unit(self, tensor: Tensor, units: int) -> Tensor:
        """Reshape the tensor to (chunks, units, the rest)."""
        return tensor.movedim(self.axis, 0).reshape(self.chunks, units, -1)

    def without(self, tensor: Tensor, units: int, kept: Tensor) -> Tensor:
        """Return the tensor with the kept units only, in their order."""
        along = tensor.movedim(self.axis, 0)
        split = along.unflatten(0, (self.chunks, units, -1))[:, kept]
        return split.flatten(0, 2).movedim(0, self.axis).contiguous()


@dataclass(frozen=True, slots=True)
class _PruneGroup:
    """A set of units that can be cut out, each from all its parts at once."""

    units: int
    parts: tuple[Part, ...]


def _groups_of(config: SequenceConfig) -> tuple[_PruneGroup, ...]:
    """Return the groups of units that can be cut out of a model of a size.

    Raises:
        TypeError: the network is none of those that this module can prune.
    """
    if isinstance(config, SASRecConfig):
        block = _hstu_block if config.block == "hstu" else _transformer_block
        return tuple(g for layer in range(config.layers) for g in block(config, f"blocks.{layer}"))
    if isinstance(config, GRUConfig):
        gates = [Part(f"gru.{part}_l0", chunks=3) for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
        state = (*gates, Part("gru.weight_hh_l0", axis=1), Part("project.weight", axis=1))
        return (_PruneGroup(config.state, state),)
    if isinstance(config, LinearRecurrenceConfig):
        return tuple(g for layer in range(config.layers) for g in _recurrent_layer(config, f"layers.{layer}"))
    msg = f"nothing is known to cut out of {type(config).__name__}"
    raise TypeError(msg)


def smaller(config: SequenceConfig, keep: float) -> SequenceConfig:
    """Return the size after a cut that keeps a share of every group, and at least one unit of each.

    Raises:
        TypeError: the network is none of those that this module can prune.
    """
    if isinstance(config, SASRecConfig):
        heads, feed = kept_of(config.heads, keep), kept_of(config.feed_width, keep)
        return replace(config, heads=heads, head_dim=config.head_width, feed=feed)
    if isinstance(config, LinearRecurrenceConfig):
        return replace(config, state=kept_of(config.state, keep), feed=kept_of(config.feed_width, keep))
    if isinstance(config, GRUConfig):
        return replace(config, state=kept_of(config.state, keep))
    msg = f"nothing is known to cut out of {type(config).__name__}"
    raise TypeError(msg)


def kept_of(units: int, keep: float) -> int:
    """Return the number of units to keep of a group: the share `keep`, rounded, and at least 1."""
    return max(1, round(units * keep))


def pruned(before: Sized, distillation: Distillation) -> Sized:
    """Cut out the least important units, and train the rest for a short time."""
    whole = distillation.settings
    short = replace(whole, epochs=max(1, round(whole.epochs * EPOCHS)), learning_rate=whole.learning_rate * RATE)
    windows = windows_of(distillation.training, before.config.history_length, whole.seed).draw()
    batches = torch.from_numpy(windows).split(whole.batch_size)
    negatives = negatives_for(before.config.items, whole.negatives)
    return train_student(cut(before, distillation.keep, batches, negatives), replace(distillation, settings=short))


def cut(sized: Sized, keep: float, batches: Iterable[Tensor], negatives: int = 0) -> Sized:
    """Return a copy of the model without its least important units, not yet trained again.

    Args:
        sized: the model; its weights stay as they are.
        keep: share of each group's units that is kept.
        batches: windows, int64 (B, L + 1), to compute the importance on.
        negatives: as in `next_item_loss`.
    """
    groups = _groups_of(sized.config)
    matters = _importance(sized, groups, batches, negatives)
    weights = dict(sized.model.state_dict())
    for group, worth in zip(groups, matters, strict=True):
        kept = worth.topk(kept_of(group.units, keep)).indices.sort().values
        for part in group.parts:
            weights[part.name] = part.without(weights[part.name], group.units, kept)
    config = smaller(sized.config, keep)
    model = config.build(np.zeros(config.items + 1, dtype=np.int64)).eval()
    model.load_state_dict(weights)
    return Sized(config, model)


def _importance(
    sized: Sized, groups: tuple[_PruneGroup, ...], batches: Iterable[Tensor], negatives: int = 0
) -> list[Tensor]:
    """Return each unit's importance: its (gradient x weight), squared and summed over batches. (units,) per group."""
    sums = [torch.zeros(group.units) for group in groups]
    weights: Mapping[str, Tensor] = dict(sized.model.named_parameters())
    for windows in batches:
        sized.model.zero_grad(set_to_none=True)
        next_item_loss(sized.model, windows, negatives).backward()
        for group, so_far in zip(groups, sums, strict=True):
            so_far += _first_order(group, weights) ** 2
    sized.model.zero_grad(set_to_none=True)
    return sums


def _first_order(group: _PruneGroup, weights: Mapping[str, Tensor]) -> Tensor:
    """Return the first-order change of the loss without each unit, except for its sign. (units,)."""
    change = torch.zeros(group.units)
    for part in group.parts:
        weight = weights[part.name]
        if weight.grad is not None:
            change += part.by_unit((weight * weight.grad).detach(), group.units).sum((0, 2))
    return change


def _transformer_block(config: SASRecConfig, at: str) -> tuple[_PruneGroup, ...]:
    heads = (
        Part(f"{at}.attention.project_in.weight", chunks=3),
        Part(f"{at}.attention.project_in.bias", chunks=3),
        Part(f"{at}.attention.project_out.weight", axis=1),
    )
    return _PruneGroup(config.heads, heads), _feed(config.feed_width, at)


def _hstu_block(config: SASRecConfig, at: str) -> tuple[_PruneGroup, ...]:
    heads = (
        Part(f"{at}.project_in.weight", chunks=4),
        Part(f"{at}.project_in.bias", chunks=4),
        Part(f"{at}.distance"),
        Part(f"{at}.norm_out.weight"),
        Part(f"{at}.norm_out.bias"),
        Part(f"{at}.project_out.weight", axis=1),
    )
    return (_PruneGroup(config.heads, heads),)


def _recurrent_layer(config: LinearRecurrenceConfig, at: str) -> tuple[_PruneGroup, ...]:
    state = (
        Part(f"{at}.project_in.weight", chunks=4),
        Part(f"{at}.project_in.bias", chunks=4),
        Part(f"{at}.decay"),
        Part(f"{at}.project_out.weight", axis=1),
    )
    return _PruneGroup(config.state, state), _feed(config.feed_width, at)


def _feed(width: int, at: str) -> _PruneGroup:
    parts = (Part(f"{at}.feed.0.weight"), Part(f"{at}.feed.0.bias"), Part(f"{at}.feed.2.weight", axis=1))
    return _PruneGroup(width, parts)
