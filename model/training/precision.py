"""Mixed precision: multiplications in 16 bits, weights and sums in 32.

All that a training does differently for it is here. bfloat16 has the range of float32 and is used where the GPU has
it; with float16 the loss is scaled up, as small gradients would be rounded to zero (Micikevicius et al. 2018).
"""

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Literal

import torch
from torch import Tensor

_CLIP = 1.0
"""Largest norm of a step's gradient (Pascanu et al. 2013)."""


class Precision:
    """The precision in which one training computes its passes and steps."""

    def __init__(self, device_type: str, lower: torch.dtype | None) -> None:
        """Set the device type, cpu or cuda, and the 16-bit type to multiply in; None keeps to 32 bits."""
        self._type = device_type
        self._lower = lower
        self._scaler = torch.amp.GradScaler(device_type, enabled=lower is torch.float16)

    def forward(self) -> AbstractContextManager[Any]:
        """Return the context of a forward pass."""
        context: AbstractContextManager[Any] = torch.autocast(
            self._type, dtype=self._lower, enabled=self._lower is not None
        )
        return context

    def backward(self, loss: Tensor) -> None:
        """Add the loss's gradients, scaled as `step` expects them."""
        self._scaler.scale(loss).backward()

    def step(self, optimizer: torch.optim.Optimizer, parameters: Iterable[Tensor]) -> None:
        """Clip the gradients and take the step, unless float16 could not hold them."""
        self._scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(parameters, _CLIP)
        self._scaler.step(optimizer)
        self._scaler.update()

    @property
    def state(self) -> Mapping[str, Any]:
        """The state of the loss scaling; empty where the loss is not scaled."""
        state: Mapping[str, Any] = self._scaler.state_dict()
        return state

    @state.setter
    def state(self, state: Mapping[str, Any]) -> None:
        if state and self._scaler.is_enabled():
            self._scaler.load_state_dict(dict(state))


def precision_of(name: Literal["full", "mixed"], device: torch.device) -> Precision:
    """Return the precision of that name on that device."""
    if name == "full":
        return Precision(device.type, None)
    return Precision(device.type, torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16)
