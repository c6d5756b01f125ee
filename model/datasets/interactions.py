"""A behaviour log as columns: the form in which models are trained and evaluated.

Items are model indexes: `vocabulary[i]` has index i + 1, and 0 pads.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property

import numpy as np
import numpy.typing as npt

from model.actions import ActionTable, history_actions
from model.datasets.log_rules import EventsOnce
from model.datasets.prepared import Dataset
from model.errors import RecloopError
from model.records import EpochMs, ItemId, UserBehavior

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]


_NANO = Fraction(1, 1_000_000)


class CutOffError(RecloopError, ValueError):
    """A cut-off that is no share, or no time in milliseconds."""


@dataclass(frozen=True)
class Interactions:
    """N behaviours in time order, as parallel columns.

    Attributes:
        user: number of the user, from 0. (N,)
        item: model index of the item; 0 for items outside the vocabulary. (N,)
        weight: the action's weight, undecayed. (N,)
        in_history: the action puts the item into the history that a model sees. (N,)
        timestamp: epoch milliseconds. (N,)
        users: number of users.
        vocabulary: item ids; index i + 1 belongs to `vocabulary[i]`.
    """

    user: Ints
    item: Ints
    weight: Floats
    in_history: Flags
    timestamp: Ints
    users: int
    vocabulary: tuple[ItemId, ...]

    def __len__(self) -> int:
        return len(self.item)

    @property
    def items(self) -> int:
        """Size of the vocabulary, n."""
        return len(self.vocabulary)

    def where(self, rows: Flags) -> "Interactions":
        """Return the chosen rows, in their order. rows: (N,)."""
        return replace(
            self,
            user=self.user[rows],
            item=self.item[rows],
            weight=self.weight[rows],
            in_history=self.in_history[rows],
            timestamp=self.timestamp[rows],
        )

    def before(self, cut_off: EpochMs) -> "Interactions":
        """Return the rows older than `cut_off`."""
        return self.where(self.timestamp < cut_off)

    def histories(self) -> "Interactions":
        """Return the rows that enter histories, of items in the vocabulary."""
        return self.where(self.in_history & (self.item > 0))

    def rows_by_user(self) -> Iterator[tuple[int, Ints]]:
        """Yield each user that has rows, with the numbers of these rows, oldest first."""
        order, starts = self._grouped
        for rows in np.split(order, starts[1:]):
            if len(rows):
                yield int(self.user[rows[0]]), rows

    def counts(self) -> Ints:
        """Count the rows of each model index. -> (n + 1,)."""
        return np.bincount(self.item, minlength=self.items + 1)

    def with_vocabulary(self, vocabulary: tuple[ItemId, ...]) -> "Interactions":
        """Return the same rows in another vocabulary; items it lacks get index 0."""
        index = index_of(vocabulary)
        table = np.array([0, *(index.get(item_id, 0) for item_id in self.vocabulary)], dtype=np.int64)
        return replace(self, item=table[self.item], vocabulary=vocabulary)

    @cached_property
    def _grouped(self) -> tuple[Ints, Ints]:
        order = np.argsort(self.user, kind="stable")
        return order, np.flatnonzero(np.diff(self.user[order], prepend=-1))


def load_interactions(dataset: Dataset, table: ActionTable | None = None) -> Interactions:
    """Read a prepared data set as the job applies it: repeated events once; the vocabulary is every item, sorted by id.

    Histories are like the job's: returns and dislikes weigh nothing and enter no history. They take nothing out of one.

    Args:
        dataset: prepared.
        table: the action table; the one that the set was prepared with if None. Actions that it lacks weigh nothing.
    """
    return interactions_of(dataset.behaviors(), dataset.action_table if table is None else table)


def interactions_of(behaviors: Iterable[UserBehavior], table: ActionTable) -> Interactions:
    """Return behaviours, oldest first and at least one, as `load_interactions` returns those of a data set."""
    once = EventsOnce()
    users: dict[str, int] = {}
    items: dict[ItemId, int] = {}
    rows = [
        (
            users.setdefault(b.user_id, len(users)),
            items.setdefault(b.item_id, len(items) + 1),
            b.action,
            b.timestamp,
        )
        for b in behaviors
        if once.is_new(b)
    ]
    user, item, action, timestamp = zip(*rows, strict=True)
    in_histories = history_actions(table)
    loaded = Interactions(
        user=np.array(user, dtype=np.int64),
        item=np.array(item, dtype=np.int64),
        weight=np.array([table[a].weight if a in table else 0.0 for a in action], dtype=np.float32),
        in_history=np.array([a in in_histories for a in action], dtype=np.bool_),
        timestamp=np.array(timestamp, dtype=np.int64),
        users=len(users),
        vocabulary=tuple(items),
    )
    return loaded.with_vocabulary(tuple(sorted(items)))


def training_vocabulary(training: Interactions) -> tuple[ItemId, ...]:
    """Return the items that a model can learn: those in the histories of `training`, sorted by id."""
    used = np.unique(training.histories().item)
    return tuple(sorted(training.vocabulary[index - 1] for index in used.tolist()))


def cut_off_at(interactions: Interactions, share: float) -> EpochMs:
    """Return the time before which the given share of the behaviours lies.

    Raises:
        CutOffError: the share is not above 0 and at most 1.
    """
    if not 0 < share <= 1:
        msg = f"--cut is above 0 and at most 1, not {share}"
        raise CutOffError(msg)
    row = int(len(interactions) * share)
    newest = int(interactions.timestamp[-1])
    return int(interactions.timestamp[row]) if row < len(interactions) else newest + 1


def checked_cut_off(interactions: Interactions, cut_off: EpochMs) -> EpochMs:
    """Return the cut-off if it is in milliseconds: near the data's time, or not near it in any other unit.

    Raises:
        CutOffError: it is negative or too large, or would be near if it were in seconds, microseconds or nanoseconds.
    """
    if not 0 <= cut_off < 1 << 62:
        msg = f"--cut-off is epoch milliseconds, and {cut_off} are none"
        raise CutOffError(msg)
    first, last = int(interactions.timestamp[0]), int(interactions.timestamp[-1])
    if first / 2 <= cut_off <= last * 2:
        return cut_off
    for unit, in_ms in (("seconds", Fraction(1_000)), ("microseconds", Fraction(1, 1_000)), ("nanoseconds", _NANO)):
        if first / 2 <= (meant := int(cut_off * in_ms)) <= last * 2:
            msg = f"--cut-off is in milliseconds, and {cut_off} looks like {unit}: give --cut-off {meant}"
            raise CutOffError(msg)
    return cut_off


def index_of(vocabulary: tuple[ItemId, ...]) -> dict[ItemId, int]:
    """Return the model index of each item id."""
    return {item_id: number for number, item_id in enumerate(vocabulary, start=1)}
