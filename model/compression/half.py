"""Models in 16 bits: weights and all that is computed with them; scores and states are handed out in float32."""

import copy

import torch
from torch import Tensor

from model.networks.recommender import Recommender, StepRecommender
from model.networks.sequence import SequenceRecommender


def halved(model: SequenceRecommender, dtype: torch.dtype) -> Recommender:
    """The model in bfloat16 or float16; one that steps does so still.

    Rounding depends on how a product is split up, so batches of other sizes change scores, by what 8 or 11 bits hold.
    """
    half = copy.deepcopy(model).to(dtype).requires_grad_(requires_grad=False)
    made = HalfStep(half, model.start) if isinstance(model, StepRecommender) else Half(half)
    made.eval()
    return made


class Half(Recommender):
    """A model in 16 bits, behind the contract."""

    def __init__(self, inner: SequenceRecommender) -> None:
        """Takes the model in 16 bits."""
        super().__init__(inner.item.num_embeddings - 1, inner.k)
        self.inner = inner

    def scores(self, history: Tensor, weight: Tensor, age_s: Tensor) -> Tensor:
        """(B, L) each -> (B, n + 1)."""
        return self.inner.scores(history, weight, age_s).float()


class HalfStep(StepRecommender):
    """A model with steps in 16 bits, behind the contract: the states it hands out are float32."""

    dtype: torch.dtype

    def __init__(self, inner: SequenceRecommender, start: Tensor) -> None:
        """Takes the model in 16 bits, and the state of a user without history."""
        super().__init__(inner.item.num_embeddings - 1, inner.k)
        self.inner = inner
        self.dtype = inner.item.weight.dtype
        self.register_buffer("start", start.clone())

    def advance(self, state: Tensor, item: Tensor, weight: Tensor) -> Tensor:
        """(B, S), (B,) x 2 -> (B, S)."""
        return self.inner.advance(state.to(self.dtype), item, weight).float()

    def state_after(self, history: Tensor, weight: Tensor) -> Tensor:
        """(B, L) x 2 -> (B, S)."""
        return self.inner.state_after(history, weight).float()

    def scores_of(self, state: Tensor) -> Tensor:
        """(B, S) -> (B, n + 1)."""
        return self.inner.scores_of(state.to(self.dtype)).float()
