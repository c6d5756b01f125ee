"""Dynamic 8-bit integers: weights are kept as int8, and activations are rounded to int8 when they are multiplied.

Each row of a weight has its own scale, and so has each row of activations (as in ZeroQuant, Yao et al. 2022), so that a
user's scores do not depend on the rest of the batch. torch's own dynamic quantisation has one scale for a whole batch:
with it, a GRU's states moved by .025 when the batch changed. Here the tables are plain tensors, the product of integers
is exact, and nothing depends on one of torch's quantised engines.
"""

import copy

import torch
from torch import Tensor, nn

from model.bundles.int8 import LARGEST, refuse_device
from model.networks.sequence import Items, SequenceRecommender
from model.networks.top_k import masked_top_k


def quantized(model: SequenceRecommender) -> SequenceRecommender:
    """Return a copy with the layers and the item table in int8; norms, biases and positions stay as they are.

    Raises:
        BundleDeviceError: this CPU does not multiply 8-bit integers exactly, so the copy could not be measured here.
    """
    refuse_device("cpu")
    made: SequenceRecommender = copy.deepcopy(model).requires_grad_(requires_grad=False)
    _quantize_parts(made)
    made.eval()
    return made


def rounded(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Round rows to int8, and return them with the step that scales each one back. (N, K) -> int8 (N, K), (N,)."""
    step = weight.abs().amax(1).clamp(min=1e-12) / LARGEST
    return (weight / step.unsqueeze(1)).round().to(torch.int8), step


def product(x: Tensor, weight: Tensor, step: Tensor, bias: Tensor) -> Tensor:
    """Multiply as F.linear does, rounding each row of x to int8 on its own scale.

    (..., K), int8 (N, K), (N,) x 2 -> (..., N).
    """
    rows = x.reshape(-1, x.size(-1))
    own = rows.abs().amax(1, keepdim=True).clamp(min=1e-12) / 127.0  # (R, 1)
    whole = torch._int_mm((rows / own).round_().to(torch.int8), weight.t())  # int32 (R, N)
    return torch.addcmul(bias, whole.float().mul_(step), own).unflatten(0, x.shape[:-1])


class Int8Linear(nn.Module):  # type: ignore[misc]  # torch is untyped here
    """A linear layer in int8."""

    def __init__(self, layer: nn.Linear) -> None:
        """Convert a float layer, which stays as it is."""
        super().__init__()
        weight, step = rounded(layer.weight)
        self.register_buffer("weight", weight)
        self.register_buffer("step", step)
        self.register_buffer("bias", torch.zeros_like(step) if layer.bias is None else layer.bias.detach())

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer. (..., K) -> (..., N)."""
        return product(x, self.weight, self.step, self.bias)


class Int8Items(nn.Module):  # type: ignore[misc]  # torch is untyped here
    """The items' embeddings in int8, one table for input and prediction."""

    def __init__(self, items: Items) -> None:
        """Convert a float table, which stays as it is."""
        super().__init__()
        weight, step = rounded(items.weight)
        self.register_buffer("weight", weight)
        self.register_buffer("step", step)

    def forward(self, item: Tensor) -> Tensor:
        """Return the embeddings of items. (...) -> (..., D)."""
        return self.weight[item].float() * self.step[item].unsqueeze(-1)

    def product(self, hidden: Tensor, bias: Tensor) -> Tensor:
        """Score every model index, like `Items.product`. (B, D), (n + 1,) -> (B, n + 1)."""
        return product(hidden, self.weight, self.step, bias)

    def best(self, hidden: Tensor, bias: Tensor, exclude: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Return the k best items and their scores, like `Items.best`."""
        return masked_top_k(self.product(hidden, bias), exclude, k)


class Int8GRU(nn.Module):  # type: ignore[misc]  # torch is untyped here
    """A GRU of one layer in int8.

    Its state is between -1 and 1, so all rows of it are rounded on one scale.
    """

    state: int

    def __init__(self, gru: nn.GRU) -> None:
        """Convert a float GRU with `batch_first`, which stays as it is."""
        super().__init__()
        self.state = gru.hidden_size
        self.read = Int8Linear(_layer(gru.weight_ih_l0, gru.bias_ih_l0))
        self.go_on = Int8Linear(_layer(gru.weight_hh_l0, gru.bias_hh_l0))
        self.go_on.step /= LARGEST

    def forward(self, x: Tensor, start: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the state after each item, and the last one. (B, L, D), (1, B, S) -> (B, L, S), (1, B, S)."""
        state = x.new_zeros(x.size(0), self.state) if start is None else start[0]
        states: list[Tensor] = []
        for read in self.read(x.transpose(0, 1)).unbind(0):  # (B, 3 S)
            state = self.advance(state, read)
            states.append(state)
        return torch.stack(states, 1), state.unsqueeze(0)

    def advance(self, state: Tensor, read: Tensor) -> Tensor:
        """Return the state after one more item. (B, S), (B, 3 S) -> (B, S)."""
        gates = 2 * self.state
        whole = torch._int_mm((state * 127.0).round_().to(torch.int8), self.go_on.weight.t()).float()
        kept = torch.addcmul(self.go_on.bias, whole, self.go_on.step)  # (B, 3 S)
        reset, old = (read[:, :gates] + kept[:, :gates]).sigmoid_().chunk(2, dim=1)
        new = torch.addcmul(read[:, gates:], kept[:, gates:], reset).tanh_()
        return new.lerp_(state, old)


def _layer(weight: Tensor, bias: Tensor) -> nn.Linear:
    layer = nn.Linear(weight.size(1), weight.size(0))
    layer.weight, layer.bias = nn.Parameter(weight.detach()), nn.Parameter(bias.detach())
    return layer


def _quantize_parts(module: nn.Module) -> None:
    for name, part in module.named_children():
        if isinstance(part, nn.Linear):
            setattr(module, name, Int8Linear(part))
        elif isinstance(part, Items):
            setattr(module, name, Int8Items(part))
        elif isinstance(part, nn.GRU):
            setattr(module, name, Int8GRU(part))
        else:
            _quantize_parts(part)
