"""The contract of every recommender.

`forward(history, weight, age_s, exclude) -> (items, scores)`, where

- history: int64 (B, L), model indexes, 0 pads on the left, the newest item in the last column.
- weight: float32 (B, L), each action's weight as it was when it happened.
- age_s: float32 (B, L), seconds between each action and now.
- exclude: int64 (B, E), model indexes never to return, 0 pads.
- items: int64 (B, K), best first; 0 where there was nothing left to return.
- scores: float32 (B, K), on the model's own scale; -inf where the item is 0.

L and E may have any value, 0 included. A model may ignore an input.

A model that reads a history item by item may export four more methods in the same TorchScript module;
`hasattr(module, "step")` is true if it does:

- `initial_state(batch: int) -> state`: of users without history. float32 (B, S), a row per user.
- `state_after(history, weight) -> state`: after a whole history. (B, L) x 2 -> (B, S).
- `step(state, item, weight, age_s) -> state`: after one more item. (B, S), (B,) x 3 -> (B, S); item 0 changes nothing.
- `score(state, exclude) -> (items, scores)`: as `forward` returns them for the history that led to the state.

So a server that keeps a user's row takes one step per behaviour, however long the history is, and makes the row anew,
by `state_after`, when items leave the history. In float32 scores are those of `forward` within 1e-5, or 1e-5 of a score
above 1 (`model.bundles.trial.STEP_TOLERANCE`); a bundle whose steps differ by more is served by `forward`. A model that
reads no more than a bundle's `history_length` items may raise at a step beyond them.
"""

import torch
from torch import Tensor, nn

from model.networks.top_k import masked_top_k


class Recommender(nn.Module):  # type: ignore[misc]  # torch is untyped here
    """A model that scores all items from a live history, so users it never saw are served too.

    Attributes:
        k: items that `forward` returns.
    """

    k: int

    def __init__(self, items: int, k: int) -> None:
        """Make a recommender of n = `items` items; `forward` returns `k` of them, at most n."""
        super().__init__()
        self.k = min(k, items)

    def scores(self, history: Tensor, weight: Tensor, age_s: Tensor) -> Tensor:
        """Score every model index. (B, L) each -> (B, n + 1)."""
        raise NotImplementedError

    def forward(self, history: Tensor, weight: Tensor, age_s: Tensor, exclude: Tensor) -> tuple[Tensor, Tensor]:
        """Return the best items and their scores, as this module says. (B, L) x 3, (B, E) -> (B, K) x 2."""
        return masked_top_k(self.scores(history, weight, age_s), exclude, self.k)


class StepRecommender(Recommender):
    """A recommender that needs only its state after a history to score and to go on.

    A subclass registers `start`, and gives `advance`, `scores_of` and, where many items at once are quicker than one
    by one, `state_after`. None of them may depend on an item's age: a kept state does not change with time.

    Attributes:
        start: float32 (S,), the state of a user without history.
    """

    start: Tensor

    def advance(self, state: Tensor, item: Tensor, weight: Tensor) -> Tensor:
        """Return the state after one more item; rows with item 0 may hold anything. (B, S), (B,) x 2 -> (B, S)."""
        raise NotImplementedError

    def scores_of(self, state: Tensor) -> Tensor:
        """Score every model index. (B, S) -> (B, n + 1)."""
        raise NotImplementedError

    def state_after(self, history: Tensor, weight: Tensor) -> Tensor:
        """Return the state after a whole history. (B, L) x 2 -> (B, S)."""
        state = self.initial_state(history.size(0))
        no_age = torch.zeros(history.size(0), device=history.device)
        for column in range(history.size(1)):
            state = self.step(state, history[:, column], weight[:, column], no_age)
        return state

    def scores(self, history: Tensor, weight: Tensor, age_s: Tensor) -> Tensor:
        """Score every model index by the state after the history. (B, L) each -> (B, n + 1)."""
        return self.scores_of(self.state_after(history, weight))

    def initial_state(self, batch: int) -> Tensor:
        """Return the state of users without history. -> (B, S)."""
        return self.start.unsqueeze(0).repeat(batch, 1)

    def step(self, state: Tensor, item: Tensor, weight: Tensor, age_s: Tensor) -> Tensor:
        """Return the state after one more item; item 0 leaves it as it was. (B, S), (B,) x 3 -> (B, S)."""
        return torch.where((item > 0).unsqueeze(1), self.advance(state, item, weight), state)

    def score(self, state: Tensor, exclude: Tensor) -> tuple[Tensor, Tensor]:
        """Return the same as `forward` after the same items. (B, S), (B, E) -> (B, K) x 2."""
        return masked_top_k(self.scores_of(state), exclude, self.k)


# TorchScript keeps methods that `forward` calls or that are marked; a subclass that overrides one marks its own.
for _method in (
    StepRecommender.initial_state,
    StepRecommender.state_after,
    StepRecommender.step,
    StepRecommender.score,
    StepRecommender.scores,
):
    torch.jit.export(_method)
