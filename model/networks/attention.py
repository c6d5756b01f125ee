"""The base of attention blocks of any kind: a pass over a whole history, or from its newest items alone.

Projecting items (`read`) is apart from attending to them (`attend`), because later items attend to them again: a pass
projects all items, a step from a kept state (`model.networks.sasrec_steps`) the newest alone.
"""

from torch import Tensor, nn


class AttentionBlock(nn.Module):  # type: ignore[misc]  # torch is untyped here
    """One block of attention, in which each item attends to itself and the older items."""

    def forward(self, x: Tensor, mask: Tensor, behind: Tensor) -> Tensor:
        """Return the newest R items, each after attending to all that it may.

        Args:
            x: (B, L, D).
            mask: bool (B or 1, 1, R, L), True where one of the newest R may attend.
            behind: int64 (B or 1, R, L), the distance back to the other item, 0 where that is not older.

        Returns:
            (B, R, D).
        """
        rows, parts = mask.size(2), self.read(x)  # R, (N, B, H, L, head width)
        return self.attend(x[:, -rows:], parts[:, :, :, -rows:], self.kept(parts), mask, behind)

    def read(self, x: Tensor) -> Tensor:
        """Project items to N parts. (B, L, D) -> (N, B, H, L, head width)."""
        raise NotImplementedError

    def kept(self, parts: Tensor) -> Tensor:
        """Return the two parts that later items attend to. (N, B, H, L, head width) -> (2, B, H, L, head width)."""
        raise NotImplementedError

    def attend(self, x: Tensor, parts: Tensor, kept: Tensor, mask: Tensor, behind: Tensor) -> Tensor:
        """Attend from the newest R items, given by `x` and `parts`, to all items, given by `kept`; as `forward`."""
        raise NotImplementedError


def joined(heads: Tensor) -> Tensor:
    """Join the outputs of all heads side by side. (B, H, R, head width) -> (B, R, width)."""
    return heads.transpose(1, 2).flatten(2)
