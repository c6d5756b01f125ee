"""What blocks of attention have in common, whichever kind they are: a pass over a history, or from its newest items.

What an item is read as is kept apart from looking, because later items look at it again: in a pass all items are read,
from a kept state (`model.networks.sasrec_steps`) the newest alone.
"""

from torch import Tensor, nn


class AttentionBlock(nn.Module):  # type: ignore[misc]  # torch is untyped here
    """One block: each item with what it sees in itself and the older items."""

    def forward(self, x: Tensor, mask: Tensor, behind: Tensor) -> Tensor:
        """The newest R items, each with what it sees in all.

        Args:
            x: (B, L, D).
            mask: bool (B or 1, 1, R, L), True where one of the newest R may look.
            behind: int64 (B or 1, R, L), how many items further back the other one is, 0 where it is not.

        Returns:
            (B, R, D).
        """
        rows, parts = mask.size(2), self.read(x)
        return self.look(x[:, -rows:], parts[:, :, :, -rows:], self.kept(parts), mask, behind)

    def read(self, x: Tensor) -> Tensor:
        """All that items are read as, N parts. (B, L, D) -> (N, B, H, L, head width)."""
        raise NotImplementedError

    def kept(self, parts: Tensor) -> Tensor:
        """Those two parts that later items see. (N, B, H, L, head width) -> (2, B, H, L, head width)."""
        raise NotImplementedError

    def look(self, x: Tensor, parts: Tensor, kept: Tensor, mask: Tensor, behind: Tensor) -> Tensor:
        """The rest of `forward`: x and parts of the newest R alone, kept of all."""
        raise NotImplementedError


def joined(heads: Tensor) -> Tensor:
    """What all heads found, side by side. (B, H, R, head width) -> (B, R, width)."""
    return heads.transpose(1, 2).flatten(2)
