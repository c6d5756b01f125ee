"""The run of each method's steps, from a bundle to TorchScript; methods share the steps that they begin with."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch

from model.bundles.bundle import Bundle
from model.bundles.torchscript import save_script
from model.compression.cells import in_cells
from model.compression.distill import distilled
from model.compression.half import halved
from model.compression.methods import steps_of
from model.compression.prune import pruned
from model.compression.quantize import quantized
from model.compression.rebuild import Sized, rebuilt
from model.compression.teacher import Distillation
from model.datasets.interactions import Interactions
from model.networks.recommender import Recommender
from model.networks.sequence import SequenceRecommender
from model.recommenders.kinds import Progress, kind_named

_TRAINED: Mapping[str, Callable[[Sized, Distillation], Sized]] = {"prune": pruned, "distill": distilled}
_LOWERED: Mapping[str, Callable[[SequenceRecommender], Recommender]] = {
    "int8": quantized,
    "bf16": lambda model: halved(model, torch.bfloat16),
    "fp16": lambda model: halved(model, torch.float16),
}
_CELLS = "cells"
_KEEP = 0.5
"""The share of the units, or of the layers, that is kept by default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shrinking:
    """The options of the steps that train.

    Attributes:
        keep: share of the units, or of the layers, that is kept; `_KEEP` if None.
        epochs: epochs of a distilled model's training. If None they are those of the bundle's kind, or of the options
            behind its name; what the bundle itself was trained with is not known. A pruned model trains for a share.
        seed: seed of everything random; 0 if None.
    """

    keep: float | None = None
    epochs: int | None = None
    seed: int | None = None


class Compressor:
    """The compressor of one bundle, which keeps the models that several methods begin with."""

    def __init__(self, bundle: Bundle, training: Interactions, shrinking: Shrinking, progress: Progress) -> None:
        """Rebuild the bundle's model; `training` holds the behaviours it was trained on, in its vocabulary.

        Raises:
            CompressionError: the bundle's model cannot be rebuilt.
        """
        found = rebuilt(bundle)
        self._whole = found.whole
        settings = kind_named(bundle.manifest.recommender).settings()
        self._distillation = Distillation(
            teacher=found.layers.model,
            training=training,
            settings=replace(settings, epochs=shrinking.epochs or settings.epochs, seed=shrinking.seed or 0),
            keep=_KEEP if shrinking.keep is None else shrinking.keep,
            on_epoch=progress,
        )
        self._progress = progress
        self._made: dict[tuple[str, ...], Sized] = {(): found.layers}

    def script(self, method: str) -> bytes:
        """Compress the model by a method, and return the content of its TorchScript file.

        Raises:
            CompressionError: there is no such method.
            ValueError: no user has two items, so there is nothing to learn from.
        """
        steps = steps_of(method)
        if steps[-1] == _CELLS:
            before = self._trained(steps[:-1])
            made = in_cells(before.model, self._distillation.training, before.config.history_length)
            return save_script(self._whole(made))
        if lower := _LOWERED.get(steps[-1]):
            return save_script(self._whole(lower(self._trained(steps[:-1]).model)))
        return save_script(self._whole(self._trained(steps).model))

    def _trained(self, steps: tuple[str, ...]) -> Sized:
        if steps not in self._made:
            before = self._trained(steps[:-1])
            self._progress("+".join(steps))
            self._made[steps] = _TRAINED[steps[-1]](before, self._distillation)
        return self._made[steps]
