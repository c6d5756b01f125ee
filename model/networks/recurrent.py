"""The base of recurrent models: a whole history in one pass, or a kept state and one step per behaviour."""

import torch
from torch import Tensor

from model.datasets.interactions import Ints
from model.networks.recommender import StepRecommender
from model.networks.sequence import SequenceConfig, SequenceRecommender


class RecurrentRecommender(SequenceRecommender, StepRecommender):
    """A model that predicts the next item from a state that each item changes; it ignores `weight` and `age_s`.

    It reads all of a history, however long; `history_length` of its configuration is the length that it is trained on.
    """

    def __init__(self, config: SequenceConfig, counts: Ints, state_size: int) -> None:
        """Make the untrained model, with S = `state_size` numbers per user; counts as in `SequenceRecommender`."""
        super().__init__(config, counts)
        self.register_buffer("start", torch.zeros(state_size), persistent=False)

    def output(self, state: Tensor) -> Tensor:
        """Return the vectors that are multiplied with embeddings. (B, S) -> (B, D)."""
        raise NotImplementedError

    def scores_of(self, state: Tensor) -> Tensor:
        """Score every model index. (B, S) -> (B, n + 1)."""
        return self.logits(self.output(state))

    def forward(self, history: Tensor, weight: Tensor, age_s: Tensor, exclude: Tensor) -> tuple[Tensor, Tensor]:
        """Return the best items and their scores, as `Recommender.forward`. (B, L) x 3, (B, E) -> (B, K) x 2."""
        return self.score(self.state_after(history, weight), exclude)

    def score(self, state: Tensor, exclude: Tensor) -> tuple[Tensor, Tensor]:
        """Return the same as `forward` after the same items. (B, S), (B, E) -> (B, K) x 2."""
        return self.best(self.output(state), exclude)


torch.jit.export(RecurrentRecommender.score)
