"""The percentiles of a histogram that counts its values for every bound that they do not exceed."""

import math
from collections.abc import Mapping
from itertools import pairwise


def percentile(before: Mapping[float, int], after: Mapping[float, int], share: float) -> float | None:
    """Return the value that a share (0 to 1) of what was counted between two readings did not exceed.

    Between two bounds it is taken to rise evenly, as Prometheus's `histogram_quantile` does. Counts that fell, as they
    do when their operator starts anew, begin at 0.

    Args:
        before: bound -> count at the first reading; the last bound, infinity, counts all.
        after: the same at the second.
        share: of the values.

    Returns:
        The value; None if none was counted; the highest finite bound if it is above that.
    """
    began_anew = any(after[bound] < before.get(bound, 0) for bound in after)
    counts = {bound: after[bound] - (0 if began_anew else before.get(bound, 0)) for bound in sorted(after)}
    if not counts or (wanted := share * max(counts.values())) <= 0:
        return None
    for (low, below), (high, count) in pairwise([(0.0, 0), *counts.items()]):
        if count >= wanted:
            return low if math.isinf(high) else low + (high - low) * (wanted - below) / (count - below)
    return None
