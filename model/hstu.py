"""A block of the hierarchical sequential transduction unit, HSTU (Zhai et al. 2024), for a SASRec to be made of.

Attention without softmax: how strongly an item looks at an older one does not depend on what else there is, so the
strength of interests is kept. Of the paper's relative bias it has the part of the distance, not of the time.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class HSTUBlock(nn.Module):  # type: ignore[misc]  # torch is untyped here
    """Pointwise attention, gated, on a normed residual; it has no feed-forward layer."""

    heads: int
    length: int

    def __init__(self, dim: int, heads: tuple[int, int], length: int, dropout: float) -> None:
        """Makes a block for embeddings of D = `dim` numbers and at most `length` items; heads and the width of one."""
        super().__init__()
        self.heads, width = heads[0], heads[0] * heads[1]
        self.length = length
        self.norm_in = nn.LayerNorm(dim)
        self.project_in = nn.Linear(dim, 4 * width)
        self.distance = nn.Parameter(torch.zeros(self.heads, length))
        self.norm_out = nn.LayerNorm(width)
        self.project_out = nn.Linear(width, dim)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x: (B, L, D), mask: bool (B, 1, R, L), True where one of the newest R may look -> (B, R, D)."""
        batch, length, _ = x.shape
        rows = mask.size(2)
        gate, value, query, key = F.silu(self.project_in(self.norm_in(x))).chunk(4, dim=2)  # (B, L, width) each
        split = torch.stack([query, key, value]).view(3, batch, length, self.heads, -1)
        query, key, value = split.transpose(2, 3).unbind(0)  # (B, H, L, head width) each
        looks = query[:, :, -rows:] @ key.transpose(2, 3) + self._bias(length)[:, -rows:]  # (B, H, R, L)
        mixed = (F.silu(looks) * mask / self.length) @ value
        mixed = mixed.transpose(1, 2).reshape(batch, rows, -1)
        return x[:, -rows:] + self.drop(self.project_out(self.norm_out(mixed) * gate[:, -rows:]))

    def _bias(self, length: int) -> Tensor:
        """What each head adds to a look at an item so far behind. -> (H, L, L)."""
        place = torch.arange(length, device=self.distance.device)
        behind = (place.unsqueeze(1) - place.unsqueeze(0)).clamp(min=0)
        return self.distance[:, behind]
