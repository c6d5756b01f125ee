"""Models that break the contract, each in one way, as real TorchScript."""

import torch
from torch import Tensor

from model.networks.recommender import Recommender

FAULTS = (
    "nan",
    "nan everywhere",
    "inf",
    "minus inf",
    "negative index",
    "index beyond",
    "huge index",
    "float items",
    "int32 items",
    "int scores",
    "more items than scores",
    "one row too many",
    "one row too few",
    "flat",
    "too few columns",
    "no columns",
    "too few items",
    "a gap",
    "twice",
    "excluded",
    "worst first",
    "one answer",
    "raises",
)
WHOLE = frozenset(
    {
        "float items",
        "int32 items",
        "int scores",
        "more items than scores",
        "one row too many",
        "one row too few",
        "flat",
        "too few columns",
        "no columns",
        "one answer",
        "raises",
    }
)
"""Those that leave no history's answer usable."""


class Faulty(Recommender):
    """Right answers, the lowest index first, spoilt for the histories whose newest item is `after`; 0 spoils all."""

    fault: str
    after: int

    def __init__(self, items: int, fault: str, after: int = 0) -> None:
        super().__init__(items, min(6, items))
        self.items = items
        self.fault = fault
        self.after = after

    def scores(self, history: Tensor, weight: Tensor, age_s: Tensor) -> Tensor:
        falling = torch.arange(self.items + 1, 0, -1).float()
        return falling.expand(history.size(0), self.items + 1).clone()

    def forward(self, history: Tensor, weight: Tensor, age_s: Tensor, exclude: Tensor) -> tuple[Tensor, Tensor]:
        scores = self.scores(history, weight, age_s).scatter(1, exclude, float("-inf"))
        scores[:, 0] = float("-inf")
        best, items = torch.topk(scores, self.k, dim=1)
        items = torch.where(torch.isinf(best), torch.zeros_like(items), items)
        newest = history[:, -1:].sum(1)
        bad = (newest == self.after) if self.after > 0 else (newest >= 0)
        if bool(bad.any()):
            return self.spoilt(items, best, bad, exclude)
        return items, best

    def spoilt(self, items: Tensor, best: Tensor, bad: Tensor, exclude: Tensor) -> tuple[Tensor, Tensor]:
        fault = self.fault
        if fault == "nan":
            best[bad, 0] = float("nan")
        elif fault == "nan everywhere":
            best[bad] = float("nan")
        elif fault == "inf":
            best[bad, 0] = float("inf")
        elif fault == "minus inf":
            best[bad, 0] = float("-inf")
        elif fault == "negative index":
            items[bad, 0] = -1
        elif fault == "index beyond":
            items[bad, 0] = self.items + 1
        elif fault == "huge index":
            items[bad, 0] = 9223372036854775807
        elif fault == "float items":
            return items.float() + 0.5, best
        elif fault == "int32 items":
            return items.int(), best
        elif fault == "int scores":
            return items, items
        elif fault == "more items than scores":
            return items, best[:, 1:]
        elif fault == "one row too many":
            return torch.cat([items, items[:1]]), torch.cat([best, best[:1]])
        elif fault == "one row too few":
            return items[1:], best[1:]
        elif fault == "flat":
            return items.flatten(), best.flatten()
        elif fault == "too few columns":
            return items[:, 1:], best[:, 1:]
        elif fault == "no columns":
            return items[:, :0], best[:, :0]
        elif fault == "too few items":
            items[bad, -1] = 0
            best[bad, -1] = float("-inf")
        elif fault == "a gap":
            items[bad, 0] = 0
        elif fault == "twice":
            items[bad, 1] = items[bad, 0]
        elif fault == "excluded":
            items[bad, -1] = torch.where(exclude[bad].amax(1) > 0, exclude[bad].amax(1), items[bad, -1])
        elif fault == "worst first":
            items[bad] = items[bad].flip(1)
            best[bad] = best[bad].flip(1)
        elif fault == "one answer":
            return items, torch.empty(0)
        elif fault == "raises":
            raise RuntimeError("planted")  # noqa: EM101 - TorchScript takes no other form
        return items, best
