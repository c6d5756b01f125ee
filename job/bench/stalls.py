"""For how long a checkpoint holds events back, from their freshness. Pure.

Around every checkpoint there is a stretch of time, from a little before it was triggered until it was complete. The
longest wait of a behaviour appended in it, less the longest wait usual in an equally long stretch between two
checkpoints, or in all that there is between them if that is shorter, is what the checkpoint added: its stall.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

_BEFORE_MS = 50
"""Events under way when a checkpoint is triggered are held back too."""
_FEWEST = 3
"""Behaviours in a stretch; with fewer it says nothing."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """When a checkpoint was triggered, epoch ms, and how long it took."""

    trigger_ms: int
    duration_ms: int


@dataclass(frozen=True, slots=True)
class Stalls:
    """What checkpoints added to the longest wait, ms.

    Attributes:
        checkpoints: how many there were.
        median_ms: half of them added less; the figure that is judged.
        p90_ms: nine of ten added less.
        usual_ms: the longest wait in a stretch without a checkpoint, median.
    """

    checkpoints: int
    median_ms: float
    p90_ms: float
    usual_ms: float


def stalls(waits: npt.NDArray[np.int64], checkpoints: Sequence[Stretch]) -> Stalls | None:
    """Judges all checkpoints of a steady load; None where too little was measured.

    Args:
        waits: (N, 2): when a behaviour was appended, epoch ms, and after how many ms its list was made.
        checkpoints: all that were completed meanwhile.
    """
    stretches = sorted((each.trigger_ms - _BEFORE_MS, each.trigger_ms + each.duration_ms) for each in checkpoints)
    around = [_longest(waits, begin, end) for begin, end in stretches]
    between = [
        _longest(waits, end, min(following, end + end - begin)) for (begin, end), (following, _) in pairwise(stretches)
    ]
    held = [longest for longest in around if longest is not None]
    usual = [longest for longest in between if longest is not None]
    if not held or not usual:
        return None
    usual_ms = float(np.median(usual))
    added = np.maximum(np.array(held) - usual_ms, 0.0)
    return Stalls(len(held), float(np.median(added)), float(np.quantile(added, 0.9)), usual_ms)


def _longest(waits: npt.NDArray[np.int64], begin_ms: int, end_ms: int) -> int | None:
    inside = waits[(waits[:, 0] >= begin_ms) & (waits[:, 0] < end_ms), 1]
    return int(inside.max()) if len(inside) >= _FEWEST else None
