"""Losses of sequence models: the cross entropy of the next item, over all items or a sample of them.

The sampled loss holds positions x negatives numbers, whatever the size of the catalogue.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from model.networks.sequence import SequenceRecommender

_FULL_SOFTMAX_ITEMS = 20_000
"""Above so many items negatives are drawn by default: a batch of full logits would take gigabytes."""
_NEGATIVES = 4_096


def negatives_for(items: int, negatives: int | None) -> int:
    """Return the number of negatives that a step draws of so many items; 0 is the full softmax.

    Args:
        items: n, size of the vocabulary.
        negatives: as asked for; None chooses by the size of the vocabulary.
    """
    if negatives is None:
        return 0 if items <= _FULL_SOFTMAX_ITEMS else _NEGATIVES
    return min(negatives, items)


def next_item_loss(
    model: SequenceRecommender, windows: Tensor, negatives: int = 0, drawn: Tensor | None = None
) -> Tensor:
    """Return the mean cross entropy of the next item over all real positions, in nats.

    Args:
        model: to train.
        windows: int64 (B, L + 1), inputs and, shifted by one, targets; 0 pads on the left.
        negatives: S, items drawn to compare with, shared by the batch; 0 compares with all.
        drawn: int64 (S,), those items, if they are drawn already; None draws them here.
    """
    inputs, targets = windows[:, :-1], windows[:, 1:]
    real = inputs > 0
    hidden = model.hidden(inputs)[real]  # (P, D)
    wanted = targets[real]  # (P,)
    if not negatives:
        return full_softmax(model, hidden, wanted)
    if drawn is None:
        drawn = draw_negatives(model.item.num_embeddings - 1, negatives, hidden.device)
    return sampled_softmax(model, hidden, wanted, drawn)


def full_softmax(model: SequenceRecommender, hidden: Tensor, wanted: Tensor) -> Tensor:
    """Return the mean cross entropy over all items. hidden: (P, D), wanted: (P,) -> scalar."""
    logits = F.linear(hidden, model.item.weight[1:], model.bias[1:])  # (P, n)
    return F.cross_entropy(logits, wanted - 1)


def sampled_softmax(model: SequenceRecommender, hidden: Tensor, wanted: Tensor, drawn: Tensor) -> Tensor:
    """Return the mean cross entropy of the targets against drawn items. -> scalar.

    The drawn stand for all n items, so their logits are raised by log(n / S) (Jean et al. 2015): without it a target
    seems likelier than it is, the more so the fewer are drawn (Petrov and Macdonald 2023 cure that in a binary loss).

    Args:
        model: to train.
        hidden: (P, D).
        wanted: (P,), the targets.
        drawn: (S,), uniform over the items.
    """
    share = drawn.numel() / (model.item.num_embeddings - 1)
    negative = F.linear(hidden, model.item(drawn), model.bias[drawn] - math.log(share))  # (P, S)
    negative = negative.masked_fill(drawn.unsqueeze(0) == wanted.unsqueeze(1), float("-inf"))
    positive = (hidden * model.item(wanted)).sum(1) + model.bias[wanted]  # (P,)
    logits = torch.cat([positive.unsqueeze(1), negative], 1).float()  # in 16 bits the sum would have three digits
    return (torch.logsumexp(logits, 1) - positive).mean()


def draw_negatives(items: int, count: int, device: torch.device, random: torch.Generator | None = None) -> Tensor:
    """Draw one item of each of `count` equal strata of the vocabulary: all of them if `count` is n. -> (count,)."""
    drawn = torch.rand(count, device=device, dtype=torch.float64, generator=random)
    place = torch.arange(count, device=device, dtype=torch.float64) + drawn
    return 1 + (place * (items / count)).long().clamp(max=items - 1)
