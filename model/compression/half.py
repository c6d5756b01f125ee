"""Models in 16 bits: the weights and all computations with them; scores and states are returned in float32."""

import copy

import torch
from torch import Tensor

from model.networks.recommender import Recommender, StepRecommender
from model.networks.sequence import SequenceRecommender


def halved(model: SequenceRecommender, dtype: torch.dtype) -> Recommender:
    """Return a copy of the model in bfloat16 or float16; a model with steps keeps them.

    Rounding depends on how a matrix product is split up, so scores change with the batch size, within the precision
    of 8 (bfloat16) or 11 (float16) bits.
    """
    half = copy.deepcopy(model).to(dtype).requires_grad_(requires_grad=False)
    has_steps = isinstance(model, StepRecommender)
    wrapped = HalfStepRecommender(half, model.start) if has_steps else HalfRecommender(half)
    wrapped.eval()
    return wrapped


class HalfRecommender(Recommender):
    """A model in 16 bits that keeps the contract of `model.networks.recommender`."""

    def __init__(self, inner: SequenceRecommender) -> None:
        """Wrap a model that is in 16 bits already."""
        super().__init__(inner.item.num_embeddings - 1, inner.k)
        self.inner = inner

    def scores(self, history: Tensor, weight: Tensor, age_s: Tensor) -> Tensor:
        """Score every model index. (B, L) each -> (B, n + 1)."""
        return self.inner.scores(history, weight, age_s).float()


class HalfStepRecommender(StepRecommender):
    """A model with steps in 16 bits that keeps the contract; the states that it returns are float32."""

    dtype: torch.dtype

    def __init__(self, inner: SequenceRecommender, start: Tensor) -> None:
        """Wrap a model that is in 16 bits already, with the state of a user without history, float32 (S,)."""
        super().__init__(inner.item.num_embeddings - 1, inner.k)
        self.inner = inner
        self.dtype = inner.item.weight.dtype
        self.register_buffer("start", start.clone())

    def advance(self, state: Tensor, item: Tensor, weight: Tensor) -> Tensor:
        """Return the states after one more item. (B, S), (B,) x 2 -> (B, S)."""
        return self.inner.advance(state.to(self.dtype), item, weight).float()

    def state_after(self, history: Tensor, weight: Tensor) -> Tensor:
        """Return the states after whole histories. (B, L) x 2 -> (B, S)."""
        return self.inner.state_after(history, weight).float()

    def scores_of(self, state: Tensor) -> Tensor:
        """Score every model index. (B, S) -> (B, n + 1)."""
        return self.inner.scores_of(state.to(self.dtype)).float()
