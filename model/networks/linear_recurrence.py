"""A gated linear recurrence over a user's history: a state that decays at a rate chosen by each item.

LRURec (Yue et al. 2024) brought linear recurrences to recommendation; the gates are those of the real-gated linear
recurrent unit (De et al. 2024). No loop over the items is needed: in training, and for a whole history, log2(L)
passes are enough.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.datasets.interactions import Ints
from model.networks.recurrent import RecurrentRecommender
from model.networks.sequence import SequenceConfig


@dataclass(frozen=True, slots=True)
class LinearRecurrenceConfig(SequenceConfig):
    """The size of the model.

    Attributes:
        state: H, width of a layer's state; a user's state has layers x H + D numbers.
        layers: recurrent layers.
        feed: width inside a feed-forward layer; 2 `dim` if 0.
    """

    history_length: int = 99
    dropout: float = 0.4
    state: int = 128
    layers: int = 2
    feed: int = 0

    @property
    def feed_width(self) -> int:
        """Width inside a feed-forward layer."""
        return self.feed or 2 * self.dim

    def build(self, counts: Ints) -> "LinearRecurrence":
        """Return the untrained model; counts as in `SequenceRecommender`."""
        return LinearRecurrence(self, counts)


class Layer(nn.Module):  # type: ignore[misc]  # torch is untyped here
    """One linear recurrence and a feed-forward layer, each on a normed residual.

    Attributes:
        sharpness: the exponent of the decay where a gate is fully open; 8 in the paper.
    """

    sharpness: float

    def __init__(self, config: LinearRecurrenceConfig) -> None:
        super().__init__()
        self.norm_recurrence = nn.LayerNorm(config.dim)
        self.project_in = nn.Linear(config.dim, 4 * config.state)
        self.project_out = nn.Linear(config.state, config.dim)
        # The share of the state that a half-open gate keeps from one item to the next.
        kept = torch.linspace(0.9, 0.999, config.state)
        self.sharpness = 8.0
        self.decay = nn.Parameter(torch.log(torch.expm1(-2.0 * torch.log(kept) / self.sharpness)))
        self.norm_feed = nn.LayerNorm(config.dim)
        self.feed = nn.Sequential(
            nn.Linear(config.dim, config.feed_width), nn.GELU(), nn.Linear(config.feed_width, config.dim)
        )
        self.drop = nn.Dropout(config.dropout)

    def gates(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the share of the state to keep, the addition to it and the output's gate. (..., D) -> (..., H) x 3."""
        forget, enter, value, show = self.project_in(self.norm_recurrence(x)).chunk(4, dim=-1)  # (..., H) each
        log_kept = -self.sharpness * torch.sigmoid(forget) * F.softplus(self.decay)
        added = torch.sqrt((-torch.expm1(2.0 * log_kept)).clamp(min=1e-6)) * torch.sigmoid(enter) * value
        return torch.exp(log_kept), added, F.gelu(show)

    def outputs(self, x: Tensor, state: Tensor, show: Tensor) -> Tensor:
        """Return the layer's outputs, which the next layer reads. (..., D), (..., H) x 2 -> (..., D)."""
        x = x + self.drop(self.project_out(state * show))
        return x + self.drop(self.feed(self.norm_feed(x)))

    def forward(self, x: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        """Return the outputs and states after each item. (B, L, D), bool (B, L, 1) -> (B, L, D), (B, L, H)."""
        kept, added, show = self.gates(x)  # (B, L, H) each
        state = scan(kept, added * real)  # (B, L, H)
        return self.outputs(x, state, show), state


class LinearRecurrence(RecurrentRecommender):
    """Layers of linear recurrences; a user's state is the layers' states and the last output."""

    width: int
    dim: int

    def __init__(self, config: LinearRecurrenceConfig, counts: Ints) -> None:
        """Make the untrained model; counts as in `SequenceRecommender`."""
        super().__init__(config, counts, config.layers * config.state + config.dim)
        self.width, self.dim = config.state, config.dim
        self.layers = nn.ModuleList([Layer(config) for _ in range(config.layers)])
        self.norm = nn.LayerNorm(config.dim, bias=False)  # so that no history gives no output
        self.drop = nn.Dropout(config.dropout)
        nn.init.normal_(self.item.weight, std=0.02)

    def hidden(self, history: Tensor) -> Tensor:
        """Return the state after each item, as it is multiplied with embeddings. (B, L) -> (B, L, D)."""
        return self.norm(self._run(history)[0])

    def _run(self, history: Tensor) -> tuple[Tensor, Tensor]:
        """Return the outputs after each item and the layers' states after the newest. -> (B, L, D), (B, layers x H)."""
        real = (history > 0).unsqueeze(2)  # (B, L, 1)
        x = self.drop(self.item(history))  # (B, L, D)
        states: list[Tensor] = []
        for layer in self.layers:
            x, state = layer(x, real)  # (B, L, D), (B, L, H)
            states.append(state[:, -1])
        return x * real, torch.cat(states, 1)

    def state_after(self, history: Tensor, weight: Tensor) -> Tensor:
        """Return the state after a whole history. (B, L) x 2 -> (B, S)."""
        if history.size(1) == 0:
            return self.initial_state(history.size(0))
        outputs, states = self._run(history)
        return torch.cat([states, outputs[:, -1]], 1)

    def advance(self, state: Tensor, item: Tensor, weight: Tensor) -> Tensor:
        """Return the state after one more item. (B, S), (B,) x 2 -> (B, S)."""
        x = self.item(item)  # (B, D)
        states: list[Tensor] = []
        for number, layer in enumerate(self.layers):
            kept, added, show = layer.gates(x)
            states.append(kept * state[:, number * self.width : (number + 1) * self.width] + added)
            x = layer.outputs(x, states[-1], show)
        return torch.cat([torch.cat(states, 1), x], 1)

    def output(self, state: Tensor) -> Tensor:
        """Return the last output, normed. (B, S) -> (B, D)."""
        return self.norm(state[:, -self.dim :])


def scan(kept: Tensor, added: Tensor) -> Tensor:
    """Compute every state of state[t] = kept[t] * state[t - 1] + added[t], from zero (Hillis and Steele 1986).

    Each pass doubles the number of items that an entry sums up. (B, L, H) x 2 -> (B, L, H).
    """
    reach = 1
    while reach < added.size(1):
        added = added + kept * F.pad(added[:, :-reach], (0, 0, reach, 0))
        kept = kept * F.pad(kept[:, :-reach], (0, 0, reach, 0), value=1.0)
        reach *= 2
    return added
