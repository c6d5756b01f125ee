"""A gated recurrent unit over a user's history (Cho et al. 2014; for recommendation Hidasi et al. 2016).

Beside the papers: items are predicted with the embeddings they are read with, by the full softmax of the next
item. A kept state costs 0.5 KB per user.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from model.datasets.interactions import Ints
from model.networks.recurrent import RecurrentRecommender
from model.networks.sequence import SequenceConfig, left_aligned


@dataclass(frozen=True, slots=True)
class GRUConfig(SequenceConfig):
    """The size of the model.

    Attributes:
        state: S, width of a user's state.
    """

    history_length: int = 99
    dropout: float = 0.4
    state: int = 128

    def build(self, counts: Ints) -> "GRU":
        """Return the untrained model; counts as in `SequenceRecommender`."""
        return GRU(self, counts)


class GRU(RecurrentRecommender):
    """One recurrent layer; its state is projected to an embedding's width."""

    def __init__(self, config: GRUConfig, counts: Ints) -> None:
        """Make the untrained model; counts as in `SequenceRecommender`."""
        super().__init__(config, counts, config.state)
        self.gru = nn.GRU(config.dim, config.state, batch_first=True)
        self.project = nn.Linear(config.state, config.dim, bias=False)
        self.drop = nn.Dropout(config.dropout)
        nn.init.normal_(self.item.weight, std=config.dim**-0.5)

    def hidden(self, history: Tensor) -> Tensor:
        """Return the projected state after each item. (B, L) -> (B, L, D)."""
        history, place = left_aligned(history)  # (B, L) each
        states, _ = self.gru(self.drop(self.item(history)))  # (B, L, S)
        outputs = self.project(self.drop(states))  # (B, L, D)
        return outputs.gather(1, place.clamp(min=0).unsqueeze(2).expand(-1, -1, outputs.size(2)))

    def state_after(self, history: Tensor, weight: Tensor) -> Tensor:
        """Return the state after a whole history. (B, L) x 2 -> (B, S)."""
        if history.size(1) == 0:
            return self.initial_state(history.size(0))
        history, place = left_aligned(history)
        states, _ = self.gru(self.item(history))  # (B, L, S)
        last = place[:, -1:]  # (B, 1); -1 where there is no item
        state = states.gather(1, last.clamp(min=0).unsqueeze(2).expand(-1, -1, states.size(2)))  # (B, 1, S)
        return torch.where(last < 0, self.start, state.squeeze(1))

    def advance(self, state: Tensor, item: Tensor, weight: Tensor) -> Tensor:
        """Return the state after one more item. (B, S), (B,) x 2 -> (B, S)."""
        read = self.item(item)  # (B, D)
        if hasattr(self.gru, "weight_hh_l0"):  # a layer in 8 bits has none; a cell takes 6 us a row, a layer 11
            gru = self.gru
            return torch.gru_cell(read, state, gru.weight_ih_l0, gru.weight_hh_l0, gru.bias_ih_l0, gru.bias_hh_l0)
        _, after = self.gru(read.unsqueeze(1), state.unsqueeze(0))
        return after.squeeze(0)

    def output(self, state: Tensor) -> Tensor:
        """Project the state. (B, S) -> (B, D)."""
        return self.project(state)
