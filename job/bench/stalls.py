"""The stall of a checkpoint: how long it holds events back, computed from their freshness. Pure.

The stretch of a checkpoint lasts from a little before it was triggered until it was complete. Its stall is the longest
wait of a behaviour appended in that stretch, minus the usual longest wait. The usual one is the median over stretches
between two checkpoints that are equally long, or as long as the gap between the two if that is shorter.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

_BEFORE_MS = 50
"""Events in flight when a checkpoint is triggered are held back too."""
_FEWEST = 3
"""The fewest behaviours in a stretch for it to count."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """The moment a checkpoint was triggered, epoch ms, and its duration."""

    trigger_ms: int
    duration_ms: int


@dataclass(frozen=True, slots=True)
class Stalls:
    """The time that checkpoints added to the longest wait, ms.

    Attributes:
        checkpoints: the number of checkpoints.
        median_ms: half of them added less; this figure is judged.
        p90_ms: nine of ten added less.
        usual_ms: the longest wait in a stretch without a checkpoint, median.
    """

    checkpoints: int
    median_ms: float
    p90_ms: float
    usual_ms: float


def stalls(waits: npt.NDArray[np.int64], checkpoints: Sequence[Stretch]) -> Stalls | None:
    """Compute the stalls of all checkpoints under a steady load; None if too little was measured.

    Args:
        waits: (N, 2): when a behaviour was appended, epoch ms, and after how many ms its list was made.
        checkpoints: all checkpoints completed under that load.
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
