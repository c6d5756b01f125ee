"""The live hit rate of a promoted version beside that of the one before it, from the lists that the job made."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from job.ab_statistics import Estimate, Shares, difference
from job.learning.state import Promoted

_TRIALS = """
SELECT model_hash, count(*) AS n, count(*) FILTER (list_contains(items[1:10], acted.item_id)) AS h
FROM (
  SELECT user_id, user_seq, item_id FROM user_behavior
  WHERE outcome = 'applied' AND action IN (SELECT unnest(CAST(? AS VARCHAR[])))
) AS acted
ASOF JOIN recommendation_lists AS list
ON acted.user_id = list.user_id AND acted.user_seq > list.user_seq
WHERE list.model_hash IN (?, ?) AND list.written_at >= ?
GROUP BY model_hash, acted.user_id
"""


@dataclass(frozen=True, slots=True)
class Live:
    """The live hit rates of two versions: of each user the share of behaviours that were about an item of the list.

    Attributes:
        since: of lists of the promoted version.
        before: of lists of the version before it.
        behaviors: number of behaviours that `since` is of.
    """

    since: Shares
    before: Shares
    behaviors: int

    @property
    def gap(self) -> Estimate:
        """The mean over users since the promotion less that before it; its interval holds however often one looks."""
        return difference(self.since, self.before)


def fell(live: Live, live_fall: float) -> bool:
    """Return true if the hit rate surely fell by more than a share of what it was."""
    interval = live.gap.interval
    return interval is not None and interval[1] < -live_fall * float(live.before.mean())


def read_live(tables_dir: Path, promoted: Promoted, actions: Collection[str], window_ms: int) -> Live:
    """Read the live hit rates from the newest hours of the tables.

    Args:
        tables_dir: the folder of the tables.
        promoted: the two versions, and when the one replaced the other.
        actions: the actions that enter histories: each is a trial of the list before it.
        window_ms: lists of so long before the promotion are read.

    Raises:
        TablesError: the tables cannot be read.
    """
    from job.tables import duck  # the `recloop` command starts without it

    since_ms = promoted.at_ms - window_ms
    hashes = [promoted.version.hash, promoted.before.hash]
    with duck.connect(tables_dir, since_ms=since_ms) as connection:
        rows: Any = duck.run(connection, _TRIALS, [sorted(actions), *hashes, since_ms]).rows
    shares: Mapping[str, list[float]] = {each: [] for each in hashes}
    behaviors = 0
    for model_hash, trials, hits in rows:
        shares[model_hash].append(hits / trials)
        behaviors += trials if model_hash == promoted.version.hash else 0
    since, before = (np.sort(np.array(shares[each], dtype=np.float64)) for each in hashes)
    return Live(since=since, before=before, behaviors=behaviors)
