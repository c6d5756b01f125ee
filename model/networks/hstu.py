"""A block of the hierarchical sequential transduction unit, HSTU (Zhai et al. 2024), as a layer of a SASRec.

Its attention has no softmax: the weight of an older item does not depend on the other items, so the strength of
interests is kept. Of the paper's relative bias it has the part of the distance, not that of the time.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.networks.attention import AttentionBlock, joined


class HSTUBlock(AttentionBlock):
    """Pointwise attention, gated, on a normed residual; it has no feed-forward layer."""

    heads: int
    length: int

    def __init__(self, *, dim: int, heads: int, head_width: int, length: int, dropout: float) -> None:
        """Make a block for embeddings of D = `dim` numbers and at most `length` items."""
        super().__init__()
        self.heads, self.length = heads, length
        width = heads * head_width
        self.norm_in = nn.LayerNorm(dim)
        self.project_in = nn.Linear(dim, 4 * width)
        self.distance = nn.Parameter(torch.zeros(self.heads, length))
        self.norm_out = nn.LayerNorm(width)
        self.project_out = nn.Linear(width, dim)
        self.drop = nn.Dropout(dropout)

    def read(self, x: Tensor) -> Tensor:
        """Project items to gates, values, queries and keys. (B, L, D) -> (4, B, H, L, head width)."""
        batch, length, _ = x.shape
        split = F.silu(self.project_in(self.norm_in(x))).view(batch, length, 4, self.heads, -1)  # (B, L, 4, H, ...)
        return split.permute(2, 0, 3, 1, 4)

    def kept(self, parts: Tensor) -> Tensor:
        """Return values and keys. (4, B, H, L, head width) -> (2, B, H, L, head width)."""
        return parts[1::2]

    def attend(self, x: Tensor, parts: Tensor, kept: Tensor, mask: Tensor, behind: Tensor) -> Tensor:
        """Attend without softmax, and gate the result.

        (B, R, D), (4, B, H, R, head width), (2, B, H, L, head width), (B, 1, R, L), (B, R, L) -> (B, R, D).
        """
        gate, query = parts[0], parts[2]  # (B, H, R, head width)
        value, key = kept[0], kept[1]  # (B, H, L, head width)
        logits = query @ key.transpose(2, 3) + self.distance[:, behind].transpose(0, 1)  # (B, H, R, L)
        mixed = joined((F.silu(logits) * mask / self.length) @ value)  # (B, R, width)
        return x + self.drop(self.project_out(self.norm_out(mixed) * joined(gate)))
