"""A SASRec that goes on from a kept state: the keys and values of a user's items (a transformer's key-value cache).

Positions are counted from the oldest item, so an item's keys and values stay the same while the history grows: one
step computes the newest item alone. The result is that of a full pass, for more memory than any other model that
steps: 2 x layers x L x width numbers per user.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from model.datasets.interactions import Ints
from model.networks.recommender import StepRecommender
from model.networks.sasrec import SASRec, SASRecConfig, distances
from model.networks.sequence import left_aligned


@dataclass(frozen=True, slots=True)
class SteppingSASRecConfig(SASRecConfig):
    """The size of the model, of transformer or HSTU blocks."""

    def build(self, counts: Ints) -> "SteppingSASRec":
        """Return the untrained model; counts as in `SequenceRecommender`."""
        return SteppingSASRec(self, counts)


class SteppingSASRec(SASRec, StepRecommender):
    """A SASRec that takes one step per behaviour.

    A user's state is the number of items, the output after the newest, and each block's keys and values.
    """

    dim: int
    kept_shape: tuple[int, int, int, int]

    def __init__(self, config: SteppingSASRecConfig, counts: Ints) -> None:
        """Make the untrained model; counts as in `SequenceRecommender`."""
        super().__init__(config, counts)
        self.dim = config.dim
        self.kept_shape = (config.layers * 2, config.heads, config.history_length, config.head_width)
        kept = 2 * config.layers * config.heads * config.history_length * config.head_width
        self.register_buffer("start", torch.zeros(1 + config.dim + kept), persistent=False)

    def state_after(self, history: Tensor, weight: Tensor) -> Tensor:
        """Return the state after the newest L items of a history. (B, any) x 2 -> (B, S)."""
        state = self.initial_state(history.size(0))
        if history.size(1) == 0:
            return state
        history, _ = left_aligned(history[:, -self.history_length :])
        real, length = history > 0, history.size(1)  # (B, L)
        behind = distances(length, history.device)  # (1, L, L)
        mask = torch.ones(1, 1, length, length, dtype=torch.bool, device=history.device).tril()
        kept = self._kept(state)  # (B, 2 x layers, H, the state's L, head width)
        x = self.item(history) + self.position(real.cumsum(1) * real)  # (B, L, D)
        for number, block in enumerate(self.blocks):
            parts = block.read(x)  # (N, B, H, L, head width)
            seen = block.kept(parts)  # (2, B, H, L, head width)
            kept[:, 2 * number : 2 * number + 2, :, :length] = seen.transpose(0, 1)
            x = block.attend(x, parts, seen, mask, behind)
        count = real.sum(1)  # (B,)
        newest = (count - 1).clamp(min=0).view(-1, 1, 1).expand(-1, 1, x.size(2))  # (B, 1, D)
        state[:, 0] = count.to(state.dtype)
        state[:, 1 : 1 + self.dim] = self.norm(x.gather(1, newest)).squeeze(1) * (count > 0).unsqueeze(1)
        return state

    def step(self, state: Tensor, item: Tensor, weight: Tensor, age_s: Tensor) -> Tensor:
        """Return the state after one more item; item 0 leaves it as it was. (B, S), (B,) x 3 -> (B, S).

        Unlike the inherited method, it does not copy these large rows once more where no item is 0.
        """
        after = self.advance(state, item, weight)
        return after if bool((item > 0).all()) else torch.where((item > 0).unsqueeze(1), after, state)

    def advance(self, state: Tensor, item: Tensor, weight: Tensor) -> Tensor:
        """Return the state after one more item. (B, S), (B,) x 2 -> (B, S).

        Raises:
            ValueError: a state has L items already; one more would change all positions.
        """
        count = state[:, 0].long()  # (B,)
        if bool(((count >= self.history_length) & (item > 0)).any()):
            msg = "a state holds no more items than the model looks at: make it anew, by state_after"
            raise ValueError(msg)
        place = count.clamp(max=self.history_length - 1)  # (B,), which is less only where no item is added
        state = state.clone()
        kept = self._kept(state)  # (B, 2 x layers, H, L, head width)
        columns = torch.arange(self.history_length, device=item.device)  # (L,)
        behind = (place.unsqueeze(1) - columns).clamp(min=0).unsqueeze(1)  # (B, 1, L)
        mask = (columns <= place.unsqueeze(1)).unsqueeze(1).unsqueeze(1)  # (B, 1, 1, L)
        rows = torch.arange(item.size(0), device=item.device)
        x = (self.item(item) + self.position(place + 1)).unsqueeze(1)  # (B, 1, D)
        for number, block in enumerate(self.blocks):
            parts = block.read(x)  # (N, B, H, 1, head width)
            its = kept[:, 2 * number : 2 * number + 2]  # (B, 2, H, L, head width)
            its[rows, :, :, place] = block.kept(parts)[:, :, :, 0].transpose(0, 1)
            x = block.attend(x, parts, its.transpose(0, 1), mask, behind)
        state[:, 0] = (place + 1).to(state.dtype)
        state[:, 1 : 1 + self.dim] = self.norm(x).squeeze(1)
        return state

    def score(self, state: Tensor, exclude: Tensor) -> tuple[Tensor, Tensor]:
        """Return the same as `forward` after the same items. (B, S), (B, E) -> (B, K) x 2."""
        return self.best(state[:, 1 : 1 + self.dim], exclude)

    def scores_of(self, state: Tensor) -> Tensor:
        """Score every model index. (B, S) -> (B, n + 1)."""
        return self.logits(state[:, 1 : 1 + self.dim])

    def _kept(self, state: Tensor) -> Tensor:
        """Return a view of each block's keys and values in the state. (B, S) -> (B, 2 x layers, H, L, head width)."""
        blocks, heads, length, width = self.kept_shape
        return state[:, 1 + self.dim :].view(-1, blocks, heads, length, width)


for _method in (SteppingSASRec.state_after, SteppingSASRec.step, SteppingSASRec.score):
    torch.jit.export(_method)
