"""The device that models run on, and the copies of arrays to it and of answers from it.

On the CPU nothing is copied. On a CUDA device arrays go through pinned memory, which the device reads by itself, so
that the copies in, the model and the copies out are queued on one stream and waited for once.
"""

import logging
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any, Protocol

import numpy.typing as npt
import torch
from torch import Tensor

from model.errors import RecloopError
from udfs.scoring.scoring_rules import DeviceRules

_log = logging.getLogger(__name__)
_HALVES = {"float16": torch.float16, "bfloat16": torch.bfloat16}

Array = npt.NDArray[Any]
Call = Callable[..., Tensor | tuple[Tensor, ...]]
"""A model, or one of its methods: takes tensors, and returns one or several."""


class DeviceMissingError(RecloopError):
    """A missing device that the settings name; the message gives the reason."""


class Runner(Protocol):
    """A runner of models on one device; calls may come from several threads at a time.

    Attributes:
        name: the device that `model.bundles.bundle.load_module` has to put a model on.
        precision: the precision of matrix products.
    """

    name: str
    precision: str

    def run(self, call: Call, *inputs: Array) -> tuple[Array, ...]:
        """Call a model without gradients; answers in half precision come back as float32."""
        ...


def open_device(rules: DeviceRules) -> Runner:
    """Return a runner on the settings' device, or on the CPU where it is missing and they allow that.

    Raises:
        DeviceMissingError: it is missing, and the settings allow no other.
    """
    if rules.name == "cpu":
        return OnCpu(rules.precision)
    device = torch.device(rules.name)
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:  # the latter where torch was built without CUDA
        reason, visible = str(error).splitlines()[0], os.environ.get("CUDA_VISIBLE_DEVICES")
        problem = f"scoring.device={rules.name}: {reason} (CUDA_VISIBLE_DEVICES is {visible})"
        if rules.missing == "refuse":
            msg = f"{problem}; scoring.device_missing=cpu would score on the CPU instead"
            raise DeviceMissingError(msg) from error
        _log.warning("%s; scoring on the CPU", problem)
        return OnCpu(rules.precision)
    return OnDevice(device, rules.precision)


class OnCpu:
    """A runner on the CPU; tensors share the arrays' memory."""

    name = "cpu"

    def __init__(self, precision: str = "float32") -> None:
        self.precision = precision

    def run(self, call: Call, *inputs: Array) -> tuple[Array, ...]:
        """Call a model, as `Runner` describes it."""
        with torch.inference_mode(), _computed_in(self.precision, "cpu"):
            return tuple(_full(answer).numpy() for answer in _several(call(*map(torch.from_numpy, inputs))))


class OnDevice:
    """A runner that queues everything of a call on a stream of its own, and waits once, at the end.

    Torch keeps pinned blocks for the next call, so none is allocated once every shape was seen. Given a CPU it takes
    the same steps with plain memory and no stream.
    """

    def __init__(self, device: torch.device, precision: str = "float32") -> None:
        self.name = str(device)
        self._device = device
        self.precision = precision
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None

    def run(self, call: Call, *inputs: Array) -> tuple[Array, ...]:
        """Call a model, as `Runner` describes it."""
        with ExitStack() as during:
            during.enter_context(torch.inference_mode())
            during.enter_context(_computed_in(self.precision, self._device.type))
            if self._stream is not None:
                during.enter_context(torch.cuda.stream(self._stream))
            answers = [self._fetched(_full(answer)) for answer in _several(call(*map(self._sent, inputs)))]
            if self._stream is not None:
                self._stream.synchronize()
        # Pinned blocks go back to torch, so copies are handed on.
        return tuple(answer.numpy().copy() for answer in answers)

    def _sent(self, array: Array) -> Tensor:
        tensor = torch.from_numpy(array)
        if self._stream is not None:
            tensor = tensor.pin_memory()
        return tensor.to(self._device, non_blocking=True)

    def _fetched(self, answer: Tensor) -> Tensor:
        here = torch.empty(answer.shape, dtype=answer.dtype, pin_memory=self._stream is not None)
        return here.copy_(answer, non_blocking=True)


def _computed_in(precision: str, kind: str) -> AbstractContextManager[object]:
    """Return a context in which matrix products are computed in this precision.

    Softmax, norms and inputs stay float32: ages exceed float16's range.
    """
    if precision == "float32":
        return nullcontext()
    autocast: AbstractContextManager[object] = torch.autocast(kind, dtype=_HALVES[precision])
    return autocast


def _several(answers: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (answers,) if isinstance(answers, Tensor) else answers


def _full(answer: Tensor) -> Tensor:
    return answer.float() if answer.is_floating_point() else answer
